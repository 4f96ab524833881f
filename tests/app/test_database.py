"""PostgreSQL: waited for by greenlets where psycogreen is, by the whole process where not; down, and up again."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Event
from typing import Self

import pytest

from app.lab.postgres import Postgres
from app.serve.options import Kind
from tests.app.client import AtOnce, Response, get
from tests.app.gate import eventually
from tests.app.stage import Running, Stage

pytestmark = pytest.mark.app

GREEN = [Kind.PYWSGI, Kind.GUNICORN_GEVENT, Kind.UWSGI_GEVENT]


def most_at_once(responses: Sequence[Response]) -> int:
    """How many naps overlapped at most, by PostgreSQL's own clock."""
    changes = []
    for response in responses:
        assert response.status == 200, response
        answer = response.document
        changes += [(datetime.fromisoformat(answer["now"]), 1), (datetime.fromisoformat(answer["awake"]), -1)]
    # Of one that ends and one that begins at the same microsecond, the end counts first.
    level, most = 0, 0
    for _, change in sorted(changes):
        level += change
        most = max(most, level)
    return most


@pytest.mark.parametrize("kind", [*GREEN, Kind.GUNICORN])
def test_ten_requests_wait_for_the_database_at_once(kind: Kind, with_database: Stage) -> None:
    with with_database.serving(kind) as web:
        responses = AtOnce(web.bind, "/db?delay=3", 10).responses()
    # All ten, if the machine has time to start them within three seconds.
    assert most_at_once(responses) > 5
    assert len({response.document["process"] for response in responses}) > 5


def test_without_psycogreen_a_process_of_greenlets_is_blocked_by_each(with_database: Stage) -> None:
    with with_database.serving(Kind.PYWSGI, environment={"APP_PSYCOGREEN": "off"}) as web:
        responses = AtOnce(web.bind, "/db?delay=0.3", 10).responses()
    assert most_at_once(responses) == 1


def test_requests_beyond_the_pool_wait_for_a_connection(with_database: Stage) -> None:
    with with_database.serving(Kind.PYWSGI, environment={"DATABASE_CONNECTIONS": "2"}) as web:
        responses = AtOnce(web.bind, "/db?delay=0.2", 8).responses()
    assert most_at_once(responses) <= 2
    assert len({response.document["process"] for response in responses}) <= 2


def test_a_pool_that_stays_in_use_is_a_503(with_database: Stage) -> None:
    settings = {"DATABASE_CONNECTIONS": "1", "DATABASE_WAIT": "0.2"}
    with with_database.serving(Kind.PYWSGI, environment=settings) as web:
        responses = AtOnce(web.bind, "/db?delay=4", 4).responses()
    assert Counter(response.status for response in responses) == {200: 1, 503: 3}
    refused = next(response for response in responses if response.status == 503)
    assert refused.document == {
        "error": "database_unavailable",
        "reason": "all connections to the database are in use",
    }


class Load:
    """Requests to ``/db``, from eight clients that go on until told to stop; at most so many."""

    def __init__(self, web: Running) -> None:
        self._web = web
        self._stopped = Event()
        self.statuses: list[int] = []
        self._pool = ThreadPoolExecutor(8)
        self._workers = [self._pool.submit(self._work) for _ in range(8)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown()
        for worker in self._workers:
            worker.result()

    def await_status(self, status: int, number: int) -> None:
        """Wait until it has been answered that often from now on, and nothing else last."""
        since = len(self.statuses)
        eventually(lambda: self.statuses[since:].count(status) >= number and self.statuses[-1] == status)

    def _work(self) -> None:
        for _ in range(500):
            if self._stopped.wait(0.02):
                return
            self.statuses.append(get(self._web.bind, "/db?delay=0.05").status)


@pytest.mark.parametrize("kind", [Kind.PYWSGI, Kind.UWSGI_GEVENT, Kind.GUNICORN])
def test_postgresql_restarted_under_load_is_503s_and_then_all_is_well(
    kind: Kind, with_database: Stage, postgres: Postgres
) -> None:
    with with_database.serving(kind) as web, Load(web) as load:
        load.await_status(200, 20)
        assert get(web.bind, "/readyz").status == 200
        postgres.down()
        try:
            load.await_status(503, 20)
            assert get(web.bind, "/readyz").status == 503
            assert get(web.bind, "/healthz").status == 200
            assert get(web.bind, "/db?delay=0").headers["Retry-After"] == "1"
        finally:
            postgres.up()
        eventually(lambda: get(web.bind, "/readyz").status == 200)
        load.await_status(200, 20)
        settled = len(load.statuses)
        load.await_status(200, 50)
        assert set(load.statuses[settled:]) == {200}
    assert set(load.statuses) == {200, 503}

"""Events on their way to those who listen, over real sockets: who reads, who doesn't, and who has gone."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from netshare.agent.telling import Telling
from netshare.core.event import Stage, event
from netshare.errors import NetshareError


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


class Ear:
    """One who listens, through the agent's end of a socket in a thread."""

    def __init__(self, telling: Telling, *, last: int = 0, follow: bool = True) -> None:
        self.own, self._other = socket.socketpair()
        self.own.settimeout(20)
        self.refusal: NetshareError | None = None
        self.thread = threading.Thread(target=self._serve, args=(telling, last, follow), daemon=True)
        self.thread.start()
        self.lines = self.own.makefile("rb")

    def begin(self) -> "Ear":
        assert self.lines.readline() == b"{}\n"
        return self

    def hear(self) -> Any:  # noqa: ANN401 (JSON)
        return json.loads(self.lines.readline())

    def close(self) -> None:
        self.lines.close()
        self.own.close()
        self.thread.join(20)
        assert not self.thread.is_alive()

    def _serve(self, telling: Telling, last: int, follow: bool) -> None:  # noqa: FBT001
        with self._other:
            try:
                telling.serve(self._other, last=last, follow=follow)
            except NetshareError as error:
                self.refusal = error


@pytest.fixture
def log() -> logging.Logger:
    log = logging.getLogger("netshare.test")
    log.setLevel(logging.DEBUG)
    return log


@pytest.fixture
def telling(log: logging.Logger) -> Iterator[Telling]:
    telling = Telling(remembered=5, waiting=50, listeners=3)
    log.addHandler(telling)
    yield telling
    log.removeHandler(telling)
    telling.close()


def tell(log: logging.Logger, *numbers: int) -> None:
    for number in numbers:
        log.info(event(Stage.APPLY, added=number))


def test_an_event_is_a_document_with_its_time_and_level(telling: Telling, log: logging.Logger) -> None:
    with closing(Ear(telling).begin()) as ear:
        log.warning(event(Stage.JUDGE, service="web", fail_open=True))
        log.info("not an event")
        log.debug(event(Stage.RECONCILE, changed="nothing"))
        heard = ear.hear()
        assert heard.pop("time").endswith("+00:00")
        assert heard == {"schema": 1, "level": "warning", "stage": "judge", "service": "web", "fail_open": True}
        assert ear.hear()["level"] == "debug"


def test_the_last_ones_first_and_signs_of_life_are_not_remembered(telling: Telling, log: logging.Logger) -> None:
    tell(log, *range(10))
    log.debug(event(Stage.RECONCILE, changed="nothing"))
    with closing(Ear(telling, last=3).begin()) as ear:
        tell(log, 10)
        assert [ear.hear()["added"] for _ in range(4)] == [7, 8, 9, 10]
    with closing(Ear(telling, last=1000, follow=False).begin()) as ear:
        assert [ear.hear()["added"] for _ in range(5)] == [6, 7, 8, 9, 10]
        assert ear.lines.read() == b""


def test_one_who_does_not_read_holds_nobody_up_and_learns_what_was_lost(telling: Telling, log: logging.Logger) -> None:
    with closing(Ear(telling).begin()) as slow, closing(Ear(telling).begin()) as quick:
        for number in range(6_000):  # far more than a socket has room for
            tell(log, number)
            assert quick.hear()["added"] == number
        told: list[Any] = []
        while not told or told[-1].get("added") != 5_999:
            told.append(slow.hear())
    numbers = [each["added"] for each in told if each["stage"] == "apply"]
    lost = sum(each["count"] for each in told if each["stage"] == "lost")
    assert lost > 0
    assert len(numbers) + lost == 6_000
    assert numbers == sorted(numbers)
    assert numbers[-50:] == list(range(5_950, 6_000))


def test_one_who_hangs_up_is_forgotten_at_once(telling: Telling, log: logging.Logger) -> None:
    for _ in range(10):  # more than there is place for at once
        Ear(telling).begin().close()
    tell(log, 1)


def test_there_is_place_for_so_many(telling: Telling) -> None:
    ears = [Ear(telling).begin() for _ in range(3)]
    late = Ear(telling)
    until(lambda: late.refusal)
    assert "3 others listen" in str(late.refusal)
    for ear in (*ears, late):
        ear.close()


def test_at_the_end_those_who_read_have_heard_all(telling: Telling, log: logging.Logger) -> None:
    with closing(Ear(telling).begin()) as reader, closing(Ear(telling).begin()) as stuck:
        for number in range(6_000):
            tell(log, number)
            reader.hear()
        log.info(event(Stage.STOP, kernel="unchanged"))
        began = time.monotonic()
        telling.close()
        assert time.monotonic() - began < 10
        assert reader.hear()["stage"] == "stop"
        assert reader.lines.read() == b""
        stuck.thread.join(20)
        assert not stuck.thread.is_alive()

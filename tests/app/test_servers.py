"""Every server answers, is concurrent where it should be, and loses nothing when it is told to stop."""

import signal
import socket
import time

import pytest

from app.serve.options import Kind, Protocol
from tests.app.client import AtOnce, get
from tests.app.gate import Gate, refuses
from tests.app.stage import Stage

pytestmark = pytest.mark.app

CONCURRENT = [kind for kind in Kind if kind is not Kind.DEV]


@pytest.mark.parametrize("kind", CONCURRENT)
def test_a_server_answers_ten_at_once_and_stops_without_losing_any_of_fifty(
    kind: Kind, on_stage: Stage, gate: Gate
) -> None:
    with on_stage.serving(kind) as web:
        whoami = get(web.bind, "/whoami").document
        assert whoami.pop("process") > 1
        assert whoami == {"replica": f"replica-{kind}", "client": "127.0.0.1", "server": kind.value}

        gate.close()
        ten = AtOnce(web.bind, "/?delay=1", 10)
        gate.await_arrived(10)
        assert gate.most_held == 10
        assert ten.answered == 0
        gate.open()
        assert ten.statuses() == [200] * 10

        gate.close()
        fifty = AtOnce(web.bind, "/?delay=1", 50)
        gate.await_arrived(50)
        web.process.send(signal.SIGTERM)
        time.sleep(0.5)  # whatever it does to those in flight, it has begun
        assert fifty.answered == 0
        gate.open()
        assert fifty.statuses() == [200] * 50
        assert web.process.wait() == 0
        assert refuses(web.bind.port)


def test_the_development_server_without_threads_answers_one_after_the_other(on_stage: Stage, gate: Gate) -> None:
    with on_stage.serving(Kind.DEV) as web:
        gate.close()
        ten = AtOnce(web.bind, "/?delay=1", 10)
        for number in range(1, 10):
            gate.await_arrived(number)
            assert ten.answered < number
            gate.let_pass(1)
        gate.await_arrived(10)
        web.process.send(signal.SIGTERM)
        gate.open()
        assert ten.statuses() == [200] * 10
        assert gate.most_held == 1
        assert web.process.wait() == 0


def test_pywsgi_does_not_wait_for_connections_that_ask_nothing(on_stage: Stage) -> None:
    with (
        on_stage.serving(Kind.PYWSGI, "--grace=60") as web,
        socket.create_connection(("127.0.0.1", web.bind.port)) as idle,
    ):
        assert get(web.bind, "/healthz").headers["Connection"] == "close"
        web.process.send(signal.SIGTERM)
        assert web.process.wait(30) == 0
        assert idle.recv(1) == b""


def test_only_uwsgi_speaks_its_protocol(on_stage: Stage) -> None:
    with (
        pytest.raises(RuntimeError, match="gunicorn does not speak the uwsgi protocol"),
        on_stage.serving(Kind.GUNICORN, protocol=Protocol.UWSGI),
    ):
        pass


@pytest.mark.parametrize("kind", list(Kind))
def test_a_server_that_is_still_starting_ends_when_told_to(kind: Kind, on_stage: Stage) -> None:
    for seconds in (0.1, 0.3, 0.6):
        # Gunicorn's master does not tell a worker that is not there yet, and then waits for it as long as it may.
        with on_stage.starting(kind, "--grace=2") as server:
            time.sleep(seconds)  # some moment of its start
            server.send(signal.SIGTERM)
            server.wait()

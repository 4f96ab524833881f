"""Nginx in front: who the client is, what an attacker may write, several servers behind, and its own graceful stop."""

import signal
import time
from collections import Counter

import pytest

from app.serve.options import Bind, Kind, Protocol
from tests.app.client import AtOnce, get
from tests.app.gate import Gate
from tests.app.stage import Running, Stage, may_change_user
from tests.prerequisites import program, require

pytestmark = pytest.mark.app

CLIENT = "127.0.0.5"
FORGED = {"X-Forwarded-For": "192.0.2.66", "X-Real-IP": "192.0.2.66"}
TRUST = {"TRUSTED_PROXIES": "127.0.0.1"}  # where Nginx asks from


@pytest.fixture(autouse=True)
def _nginx() -> None:
    require(program("nginx"), may_change_user())


def client_seen(bind: Bind, source: str = CLIENT) -> str:
    return str(get(bind, "/whoami", source=source, headers=FORGED).document["client"])


@pytest.mark.parametrize("kind", [Kind.DEV_THREADS, Kind.GUNICORN, Kind.UWSGI, Kind.PYWSGI, Kind.GUNICORN_GEVENT])
def test_by_http_the_client_is_whom_nginx_saw_and_nobody_can_say_otherwise(kind: Kind, on_stage: Stage) -> None:
    with on_stage.serving(kind, environment=TRUST) as web, on_stage.fronted(Protocol.HTTP, web.bind) as nginx:
        assert client_seen(nginx.bind) == CLIENT
        assert client_seen(web.bind) == CLIENT  # past Nginx: not a proxy that is trusted


def test_without_trust_nginx_is_the_client(on_stage: Stage) -> None:
    with on_stage.serving(Kind.PYWSGI) as web, on_stage.fronted(Protocol.HTTP, web.bind) as nginx:
        assert client_seen(nginx.bind) == "127.0.0.1"
        assert client_seen(web.bind, "127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize("kind", [Kind.UWSGI, Kind.UWSGI_GEVENT])
def test_by_the_uwsgi_protocol_the_client_comes_with_it(kind: Kind, on_stage: Stage) -> None:
    with (
        on_stage.serving(kind, environment=TRUST, protocol=Protocol.UWSGI) as web,
        on_stage.fronted(Protocol.UWSGI, web.bind) as nginx,
    ):
        assert client_seen(nginx.bind) == CLIENT
        assert get(nginx.bind, "/whoami").document["server"] == kind.value
        assert get(nginx.bind, "/?delay=0").status == 200
        assert get(nginx.bind, "/?delay=x").status == 400


def test_several_servers_share_the_requests_and_one_that_stops_is_not_missed(on_stage: Stage, gate: Gate) -> None:
    def answers(nginx: Running, number: int) -> Counter[str]:
        return Counter(get(nginx.bind, "/whoami").document["replica"] for _ in range(number))

    with (
        on_stage.serving(Kind.PYWSGI, environment={"APP_REPLICA": "one"}) as one,
        on_stage.serving(Kind.PYWSGI, environment={"APP_REPLICA": "two"}) as two,
        on_stage.fronted(Protocol.HTTP, one.bind, two.bind) as nginx,
    ):
        shares = answers(nginx, 40)
        assert shares.keys() == {"one", "two"}
        assert min(shares.values()) > 5
        gate.close()
        twenty = AtOnce(nginx.bind, "/?delay=1", 20)
        gate.await_arrived(20)
        one.process.send(signal.SIGTERM)
        time.sleep(0.5)
        gate.open()
        assert twenty.statuses() == [200] * 20
        assert one.process.wait() == 0
        assert answers(nginx, 10) == {"two": 10}


def test_nginx_finishes_what_is_in_flight_too(on_stage: Stage, gate: Gate) -> None:
    with on_stage.serving(Kind.PYWSGI) as web, on_stage.fronted(Protocol.HTTP, web.bind) as nginx:
        gate.close()
        fifty = AtOnce(nginx.bind, "/?delay=1", 50)
        gate.await_arrived(50)
        nginx.process.send(signal.SIGQUIT)
        time.sleep(0.5)
        gate.open()
        assert fifty.statuses() == [200] * 50
        assert nginx.process.wait() == 0

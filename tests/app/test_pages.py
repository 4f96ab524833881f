"""The application itself, asked in this process: what it answers, to whom, and what when something is down."""

import socket
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from app.lab.processes import free_port
from app.web.factory import create_app
from app.web.settings import Settings
from tests.app.gate import Gate
from tests.app.liar import Liar

pytestmark = pytest.mark.app


def client_of(upstream_url: str, database_url: str = "") -> FlaskClient:
    return create_app(Settings(upstream_url=upstream_url, database_url=database_url, replica="web-1")).test_client()


@pytest.fixture
def client(gate: Gate) -> FlaskClient:
    return client_of(gate.url)


@pytest.fixture
def liar() -> Iterator[Liar]:
    with Liar() as liar:
        yield liar


def test_a_program_is_answered_in_json(client: FlaskClient) -> None:
    response = client.get("/?delay=0.5")
    assert response.get_json() == {"replica": "web-1", "delay": 0.5, "advice": "Wait.", "number": 1}
    assert response.headers["Cache-Control"] == "no-store"
    assert client.get("/").get_json()["delay"] == 1.0
    assert client.get("/", headers={"Accept": "*/*"}).is_json


def test_a_browser_gets_the_tally_at_once(client: FlaskClient, gate: Gate) -> None:
    gate.close()
    response = client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert response.mimetype == "text/html"
    assert "Who answers?" in response.text
    assert response.headers["Vary"] == "Accept"
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    for file in ("tally.js", "tally.css"):
        assert f"/static/{file}" in response.text
        with client.get(f"/static/{file}") as static:
            assert static.status_code == 200


@pytest.mark.parametrize("path", ["/?delay=11", "/?delay=x", "/?delay=1&delay=2", "/db?delay=-1", "/db?delay="])
def test_bad_input_is_a_400_with_its_reason(path: str, client: FlaskClient) -> None:
    response = client.get(path, headers={"Accept": "text/html"})
    assert response.status_code == 400
    assert response.get_json()["error"] == "bad_input"
    assert response.get_json()["reason"].startswith("delay: ")


def test_what_is_not_there_is_json_too(client: FlaskClient) -> None:
    assert client.get("/nothing").get_json()["error"] == "not_found"
    response = client.post("/whoami")
    assert (response.status_code, response.get_json()["error"]) == (405, "method_not_allowed")
    assert "GET" in response.headers["Allow"]


def test_a_slow_api_that_is_down_is_a_502() -> None:
    for path in ("/?delay=0", "/db?delay=0"):
        response = client_of(f"http://127.0.0.1:{free_port()}/").get(path)
        assert response.status_code == 502
        assert response.get_json() == {"error": "upstream_failed", "reason": "the slow API can't be reached"}


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, b"{}", "answered with status 500"),
        (302, b"", "answered with status 302"),
        (200, b"<html>", "is not JSON"),
        (200, b"[]", "lacks what it should have"),
        (200, b'{"advice": 1, "number": 1}', "lacks what it should have"),
    ],
)
def test_a_slow_api_that_answers_nonsense_is_a_502(status: int, body: bytes, reason: str, liar: Liar) -> None:
    liar.status, liar.body = status, body
    response = client_of(liar.url).get("/?delay=0")
    assert response.status_code == 502
    assert reason in response.get_json()["reason"]


@pytest.mark.parametrize("url", ["", "postgresql://app@127.0.0.1:{port}/app"])
def test_a_database_that_is_down_is_a_503(url: str, gate: Gate) -> None:
    client = client_of(gate.url, url.format(port=free_port()))
    for path in ("/db?delay=0", "/readyz"):
        response = client.get(path)
        assert (response.status_code, response.get_json()["error"]) == (503, "database_unavailable")
        assert response.headers["Retry-After"] == "1"
    assert client.get("/healthz").get_json() == {"status": "ok"}


def test_a_database_whose_name_is_not_known_is_a_503(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(gate.url, "postgresql://app@database/app")

    def nobody(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    response = client.get("/readyz")
    assert (response.status_code, response.get_json()["reason"]) == (503, "the database's host is not known")

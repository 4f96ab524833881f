"""Metrics over HTTP: for a scrape, for two families, and for those who don't behave."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from ipaddress import ip_address

import pytest
from prometheus_client import CollectorRegistry, Gauge

from netshare.core.model import Endpoint
from netshare.errors import NetshareError, PortConflictError
from netshare.metrics import serving
from netshare.metrics.serving import MetricsServer


@contextmanager
def served(address: str = "127.0.0.1") -> Iterator[int]:
    registry = CollectorRegistry()
    Gauge("netshare_truth", "What is so.", registry=registry).set(42)
    server = MetricsServer(Endpoint(ip_address(address), 0), registry)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.close()
        thread.join(20)
        assert not thread.is_alive()


def get(port: int, address: str = "127.0.0.1", host: str | None = None) -> str:
    connection = HTTPConnection(address, port, timeout=20)
    try:
        connection.request("GET", "/metrics", headers={} if host is None else {"Host": host})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_scrape(address: str) -> None:
    with served(address) as port:
        assert "\nnetshare_truth 42.0\n" in get(port, address)


def test_a_busy_port_and_an_address_of_others_are_errors_with_a_mend() -> None:
    with served() as port, pytest.raises(PortConflictError, match="Address already in use") as raised:
        MetricsServer(Endpoint(ip_address("127.0.0.1"), port), CollectorRegistry())
    assert "ss -ltnp" in (raised.value.hint or "")
    with pytest.raises(NetshareError, match=r"192\.0\.2\.7:80"):
        MetricsServer(Endpoint(ip_address("192.0.2.7"), 80), CollectorRegistry())


def test_those_who_say_nothing_hold_nobody_else_up_for_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serving._Handler, "timeout", 0.3)  # noqa: SLF001
    with served() as port:
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        deadline = time.monotonic() + 20
        answer = ""
        while "netshare_truth" not in answer:
            assert time.monotonic() < deadline
            try:
                answer = get(port)
            except OSError:
                time.sleep(0.05)
        for each in silent:
            each.sendall(b"\x00\xff" * 1000)
            each.close()
        assert "netshare_truth" in get(port)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("host", "is_answered"),
    [
        ("localhost:9440", True),
        ("LOCALHOST", True),
        ("127.0.0.1:9440", True),
        ("[::1]:9440", True),
        ("attacker.example:9440", False),
        ("127.0.0.1.attacker.example", False),
        ("localhost.attacker.example", False),
        ("user@attacker.example", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_a_page_whose_name_leads_here_reads_nothing(host: str, is_answered: bool) -> None:  # noqa: FBT001
    with served() as port:
        answer = get(port, host=host)
    assert ("netshare_truth" in answer) is is_answered
    assert is_answered or answer == "ask for it by its address, or as localhost\n"


def test_those_who_are_slow_byte_by_byte_are_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_LONGEST", 0.5)
    with served() as port:
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(8)]
        for each in slow:
            each.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        ended: set[int] = set()
        deadline = time.monotonic() + 20
        while len(ended) < len(slow):
            assert time.monotonic() < deadline
            for each in slow:
                try:
                    each.sendall(b"x")
                except OSError:
                    ended.add(each.fileno())
            time.sleep(0.05)
        assert "netshare_truth" in get(port)
        for each in slow:
            each.close()

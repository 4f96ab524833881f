"""Health checks in words."""

import pytest

from netshare.core import checks
from netshare.core.checks import health_check, kind_of_check, require_probed_port, words
from netshare.core.model import CheckKind, FailMode, HealthCheck, Listener, Protocol, Service
from netshare.errors import UsageError


@pytest.mark.parametrize(
    ("word", "check"),
    [
        ("none", HealthCheck(CheckKind.NONE)),
        ("engine", HealthCheck()),
        ("tcp", HealthCheck(CheckKind.TCP)),
        ("tcp:5432", HealthCheck(CheckKind.TCP, 5432)),
        ("http:/", HealthCheck(CheckKind.HTTP, path="/")),
        ("http:/up?full=1&x=%20", HealthCheck(CheckKind.HTTP, path="/up?full=1&x=%20")),
        ("http:8081/up", HealthCheck(CheckKind.HTTP, 8081, "/up")),
        ("tcp interval=500ms", HealthCheck(CheckKind.TCP, interval=0.5, timeout=0.5)),
        ("tcp interval=10s", HealthCheck(CheckKind.TCP, interval=10.0, timeout=1.0)),
        (
            "http:/up  interval=1m timeout=3 rise=1 fall=100 host=shop.example",
            HealthCheck(CheckKind.HTTP, None, "/up", "shop.example", 60.0, 3.0, 1, 100),
        ),
        ("http:/ host=[fd00::1]:8080", HealthCheck(CheckKind.HTTP, path="/", host="[fd00::1]:8080")),
    ],
)
def test_a_check_is_read_and_written_again(word: str, check: HealthCheck) -> None:
    assert health_check(word) == check
    assert health_check(words(check)) == check


@pytest.mark.parametrize(
    "word",
    [
        "",
        " ",
        "TCP",
        "https:/up",
        "http",
        "http:",
        "http:up",
        "http:8081",
        "http://shop.example/up",
        "http:0/up",
        "http:65536/up",
        "http:²/up",
        f"http:{'9' * 5000}/up",
        "http:/up\r\nHost: evil",
        "http:/up\n",
        "http:/über",
        "http:/a\x00b",
        "http:/up#part",
        f"http:/{'a' * 1024}",
        "tcp:",
        "tcp:0",
        "tcp:80/up",
        "engine:80",
        "none interval=1s",
        "engine fall=2",
        "tcp interval",
        "tcp interval=",
        "tcp interval=99ms",
        "tcp interval=3601s",
        "tcp interval=nan",
        "tcp interval=-1s",
        "tcp timeout=9ms interval=1s",
        "tcp timeout=2001ms",
        "tcp rise=0",
        "tcp rise=101",
        "tcp fall=0",
        "tcp fall=1.5",
        "tcp fall=²",
        "tcp fall=2 fall=3",
        "tcp until=never",
        "tcp host=shop.example",
        "http:/ host=",
        "http:/ host=shop\texample",
        "http:/ host=a\r\nX:y",
        "http:/ host=-a",
        "http:/ host=a:0",
        "http:/ host=a:65536",
        f"http:/ host={'a' * 300}",
    ],
)
def test_what_is_no_check_is_refused_in_one_line(word: str) -> None:
    with pytest.raises(UsageError) as refused:
        health_check(word)
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 300


def test_on_a_command_line_the_settings_are_options_of_their_own() -> None:
    assert kind_of_check("http:/up") == health_check("http:/up")
    with pytest.raises(UsageError):
        kind_of_check("http:/up interval=1s")


@pytest.mark.parametrize(("word", "mode"), [("open", FailMode.OPEN), ("closed", FailMode.CLOSED)])
def test_fail_modes(word: str, mode: FailMode) -> None:
    assert checks.fail_mode(word) is mode
    with pytest.raises(UsageError, match="not a way to fail"):
        checks.fail_mode(word.upper())


DNS, WEB = Listener(53, Protocol.UDP), Listener(80)


@pytest.mark.parametrize(
    ("check", "listeners", "is_fine"),
    [
        ("engine", (DNS,), True),
        ("none", (DNS,), True),
        ("tcp", (DNS,), False),
        ("http:/up", (DNS, Listener(53, Protocol.SCTP)), False),
        ("tcp:8080", (DNS,), True),
        ("http:8080/up", (DNS,), True),
        ("tcp", (DNS, WEB), True),
    ],
)
def test_a_probe_needs_a_tcp_port(check: str, listeners: tuple[Listener, ...], *, is_fine: bool) -> None:
    service = Service("dns", listeners, health=health_check(check))
    if is_fine:
        require_probed_port(service)
        return
    with pytest.raises(UsageError, match="needs a TCP port to probe, and dns has none") as refused:
        require_probed_port(service)
    assert f"{service.health.kind}:8080{service.health.path}" in str(refused.value.hint)

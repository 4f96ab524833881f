import json
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netshare.engine.docker_events import FILTERS, hint, read, signal_number
from netshare.engine.protocol import EngineEvent, EventKind
from tests.unit.engine.docker_samples import AT, SHOP, WEB_1, event


def meaning(
    kind: str, action: str, *, stop_signal: int = 15, identity: str = WEB_1, **attributes: str
) -> EngineEvent | None:
    raw = read(json.dumps(event(kind, action, attributes, identity)).encode())
    assert raw is not None
    return hint(raw, stop_signal)


@pytest.mark.parametrize(
    ("sent", "stop_signal"), [("15", 15), ("9", 15), ("15", 3), ("9", 3), ("3", 3), ("SIGQUIT", 3)]
)
def test_a_kill_that_ends_the_container_means_it_is_leaving(sent: str, stop_signal: int) -> None:
    assert meaning("container", "kill", signal=sent, stop_signal=stop_signal) == EngineEvent(
        EventKind.LEAVING, WEB_1, "kill", AT
    )


@pytest.mark.parametrize(("sent", "stop_signal"), [("1", 15), ("3", 15), ("10", 3), ("", 15)])
def test_another_signal_means_nothing(sent: str, stop_signal: int) -> None:
    assert meaning("container", "kill", signal=sent, stop_signal=stop_signal) is None


@pytest.mark.parametrize(
    "action",
    [
        *("start", "die", "stop", "pause", "unpause", "destroy", "rename"),
        *("health_status: healthy", "health_status: unhealthy", "health_status"),
    ],
)
def test_changes_of_a_container(action: str) -> None:
    assert meaning("container", action) == EngineEvent(EventKind.CHANGED, WEB_1, action, AT)


@pytest.mark.parametrize("action", ["connect", "disconnect", "create", "destroy"])
def test_changes_of_a_network_name_the_container_where_there_is_one(action: str) -> None:
    assert meaning("network", action, identity=SHOP, container=WEB_1) == EngineEvent(
        EventKind.CHANGED, WEB_1, action, AT
    )
    assert meaning("network", action, identity=SHOP) == EngineEvent(EventKind.CHANGED, "", action, AT)


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("container", "exec_create: /bin/check"),
        ("container", "exec_start: /bin/check"),
        ("container", "exec_die"),
        ("container", "create"),
        ("container", "attach"),
        ("container", "top"),
        ("network", "update"),
        ("image", "destroy"),
        ("", "start"),
    ],
)
def test_the_rest_is_noise(kind: str, action: str) -> None:
    assert meaning(kind, action) is None


def test_the_engine_is_asked_for_no_noise() -> None:
    asked = FILTERS["event"]
    assert not any("exec_die".startswith(action) or "exec_create: x".startswith(action) for action in asked)
    assert {"kill", "start", "die", "health_status", "disconnect"} <= set(asked)


def test_an_event_of_an_old_engine_without_nanoseconds() -> None:
    said = event("container", "start", {})
    del said["timeNano"]
    raw = read(json.dumps(said).encode())
    assert raw is not None
    assert raw.time_ns == 1795334118000000000


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("15", 15),
        (9, 9),
        ("SIGTERM", signal.SIGTERM),
        ("quit", signal.SIGQUIT),
        ("SIGRTMIN+3", 37),
        ("RTMIN", 34),
        ("SIGRTMAX-1", 63),
        ("", 0),
        (None, 0),
        ("SIGNONSENSE", 0),
        ("RTMIN+x", 34),
        (True, 0),
        ("9" * 5000, 0),
    ],
)
def test_signals(value: object, number: int) -> None:
    assert signal_number(value) == number


@given(st.binary() | st.text().map(str.encode))
def test_no_line_can_make_reading_fail(line: bytes) -> None:
    raw = read(line)
    assert raw is None or hint(raw, 15) is None


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"Type": 7, "Actor": [], "timeNano": "x"}', b"\xff"]
)
def test_lines_that_are_no_events(line: bytes) -> None:
    raw = read(line)
    assert raw is None or hint(raw, 15) is None


@pytest.mark.parametrize("time", [1 << 63, 10**30, 10**4000])
@pytest.mark.parametrize("key", ["time", "timeNano"])
def test_a_time_that_no_calendar_has_is_none(key: str, time: int) -> None:
    """What is resumed from it would otherwise be no date, or one that never comes."""
    raw = read(json.dumps({"Type": "container", "Action": "die", key: time}).encode())
    assert raw is not None
    assert raw.time_ns == 0


def test_fields_without_an_end_are_cut() -> None:
    long = "x" * 1_000_000
    raw = read(json.dumps(event("container", f"health_status: {long}", {"container": long}, long)).encode())
    assert raw is not None
    assert max(map(len, (raw.action, raw.id, raw.container))) == 256

"""``netshare events`` over a scripted agent."""

import json
from collections.abc import Generator

import pytest

from netshare import wiring
from netshare.errors import NetshareError
from netshare.runtime.listening import Told
from tests.unit.cli.conftest import Netshare

TOLD: list[Told] = [
    {
        "schema": 1,
        "time": "2026-11-22T11:30:00.123+00:00",
        "level": "info",
        "stage": "apply",
        "cause": "asked",
        "ms": 0.8,
    },
    {"schema": 1, "time": "2026-11-22T11:30:01.000+00:00", "level": "debug", "stage": "reconcile"},
    {"schema": 1, "time": "2026-11-22T11:30:02.000+00:00", "level": "warning", "stage": "later", "new": "\x1b[2J"},
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """What the agent was asked for; it tells a few events and ends."""
    asked: list[tuple[int, bool]] = []

    def events(last: int, *, follow: bool) -> Generator[Told, None, None]:
        asked.append((last, follow))
        yield from TOLD
        if follow:
            raise NetshareError("the agent has ended", hint="look")

    monkeypatch.setattr(wiring, "events", events)
    return asked


def test_events_are_the_lines_of_the_log_behind_the_time(netshare: Netshare, asked: list[tuple[int, bool]]) -> None:
    done = netshare("events", "--no-follow", "--last", "2")
    assert asked == [(2, False)]
    one, two = done.out.splitlines()
    assert one.endswith(".123 INFO apply cause='asked' ms=0.8")
    assert two.endswith("WARNING later new='\\x1b[2J'")
    assert (done.code, done.err) == (0, "")


def test_as_json_they_are_a_document_a_line_to_the_last(netshare: Netshare, asked: list[tuple[int, bool]]) -> None:
    done = netshare("events", "-o", "json")
    assert asked == [(10, True)]
    one, two, end = map(json.loads, done.out.splitlines())
    assert (one, two) == (TOLD[0], TOLD[2])
    assert end["error"]["message"] == "the agent has ended"
    assert done.code == 1


def test_a_number_below_zero_is_refused(netshare: Netshare) -> None:
    assert netshare("events", "--last", "-1").code == 2

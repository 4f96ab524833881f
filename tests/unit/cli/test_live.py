"""The live view of `status`, drawn for terminals of every size by rich and read back."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.screen import Screen

from netshare.cli import live
from netshare.cli.live import Seen, view
from netshare.core.model import Endpoint, Listener, Replica, ReplicaState, Service
from netshare.errors import EngineUnreachableError
from netshare.operations.control import Agent
from netshare.operations.status import ReplicaStatus, ServiceStatus, Status
from netshare.operations.watching import Look
from tests.unit.cli.conftest import Netshare

LISTENER = Listener(80)
NOW = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)


def replica(name: str, number: int, *, state: ReplicaState = ReplicaState.READY, reason: str = "") -> ReplicaStatus:
    own = Endpoint(ip_address("172.18.0.0") + number, 8080)
    found = Replica(name, name, "docker", state, {LISTENER: (own,)}, reason=reason or None)
    return ReplicaStatus(found, 12345, 12, 3.25)


def service(name: str, *replicas: ReplicaStatus) -> ServiceStatus:
    return ServiceStatus(Service(name, (LISTENER,)), "nftables", replicas)


WEB = service(
    "web",
    replica("web-1", 2),
    replica("web-2", 3, state=ReplicaState.DRAINING, reason="3 connections, 12 s left"),
)


def drawn(seen: Seen, width: int = 120, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, force_terminal=True)
    console.print(Screen(view(seen, 1.0, width, height)), end="")
    file = console.file
    assert isinstance(file, io.StringIO)
    return [line.rstrip() for line in file.getvalue().split("\n")]


def seen(*services: ServiceStatus, pid: int | None = 4242) -> Seen:
    return Seen(Look(Status(services, (), Agent(pid)), 6.5, 24), NOW)


def test_states_weights_rates_and_reasons() -> None:
    head, sums, _, columns, one, two, *_ = drawn(seen(WEB))
    assert head.startswith("netshare status, every 1 s · 2026-11-2")
    assert head.endswith("agent: pid 4242")
    assert sums == "1 service · 1 of 2 replicas ready · 6.5 new/s, 24 active"
    assert " ".join(columns.split()) == "SERVICE LISTENERS REPLICA ENDPOINT STATE WEIGHT NEW/S TOTAL ACTIVE REASON"
    assert one.split()[-5:] == ["ready", "1", "3.2", "12345", "12"]
    assert two.endswith("12  3 connections, 12 s left")


def test_columns_that_can_be_spared_go_first() -> None:
    assert "ENDPOINT" in drawn(seen(WEB), 100)[3]
    narrow = drawn(seen(WEB), 60)
    assert narrow[3].split() == ["SERVICE", "REPLICA", "STATE", "NEW/S", "ACTIVE", "REASON"]
    assert "draining" in narrow[5]


def test_what_has_no_room_is_counted() -> None:
    many = [service(f"s{number}", *(replica(f"r{n}", n) for n in range(3))) for number in range(10_000)]
    lines = drawn(seen(*many))
    assert len(lines) == 24
    assert lines[-1] == "… 29,981 more: a service's name after `status` shows it alone"
    assert "30,000 of 30,000 replicas ready" in lines[1]


def test_what_went_wrong_is_said_below() -> None:
    silent = EngineUnreachableError("docker does not answer")
    told = replace(seen(WEB), problem=silent)
    assert "! docker does not answer" in drawn(told)
    assert "! docker does not answer" in drawn(told, 40, 6)


def test_nothing_attached_and_no_agent() -> None:
    lines = drawn(seen(pid=None))
    assert lines[0].endswith("no agent runs")
    assert lines[3].startswith("nothing is attached")


def test_a_service_without_replicas() -> None:
    assert "no replica: new connections are refused" in drawn(seen(service("api")))[4]


def test_names_do_nothing_to_the_terminal() -> None:
    hostile = service("[red]web[/red]", replica("\x1b[2Jx\r\n\u202ey", 2, reason="\x07ding"))
    lines = drawn(seen(hostile), 160)
    assert "[red]web[/red]" in lines[4]
    assert "\\x1b[2Jx\\r\\n\\u202ey" in lines[4]
    assert "\\x07ding" in lines[4]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 60), st.text(max_size=40))
def test_it_fits_every_terminal(width: int, height: int, name: str) -> None:
    told = replace(seen(WEB, service("api", replica(name, 4))), problem=EngineUnreachableError(name))
    lines = drawn(told, width, height)
    assert len(lines) == height
    assert all(len(line) <= width for line in lines)


def test_an_interval_needs_a_watch_and_has_bounds(netshare: Netshare) -> None:
    alone = netshare("status", "--interval", "1s")
    assert (alone.code, alone.out) == (2, "")
    assert "--watch" in alone.err
    for word in ("0", "99ms", "2h", "soon"):
        assert netshare("status", "--watch", "--interval", word).code == 2


def test_one_that_is_not_there_is_an_error_at_once(netshare: Netshare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_print_on", lambda *_: pytest.fail("it looks for ever"))
    assert netshare("status", "wed", "--watch").code == 3

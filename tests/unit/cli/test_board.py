"""What `netshare top` shows and does, key by key; and how that looks on terminals of every size."""

import io
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.screen import Screen

from netshare.cli.board import Board, Order, Verb, Wish
from netshare.cli.board_view import spark, view
from netshare.core.model import Endpoint, Listener, Replica, ReplicaState, Service
from netshare.operations.control import Agent
from netshare.operations.status import ReplicaStatus, ServiceStatus, Status
from netshare.operations.watching import Look
from tests.unit.cli.conftest import Netshare

LISTENER = Listener(80)


def replica(name: str, *, rate: float | None = 1.0, active: int = 0, weight: int = 1) -> ReplicaStatus:
    own = Endpoint(ip_address("172.18.0.2"), 8080)
    found = Replica(name, f"id-of-{name}", "docker", ReplicaState.READY, {LISTENER: (own,)}, weight=weight)
    return ReplicaStatus(found, 100, active, rate)


def service(name: str, *replicas: ReplicaStatus) -> ServiceStatus:
    return ServiceStatus(Service(name, (LISTENER,)), "nftables", replicas)


def look(*services: ServiceStatus) -> Look:
    return Look(Status(services, (), Agent(7)), 1.0, 1)


QUIET = service("api", replica("api-1", rate=0.5, active=9), replica("api-2", rate=0.0, weight=5))
BUSY = service("web", replica("web-1", rate=3.0), replica("web-2", rate=40.0, active=1))


@pytest.fixture
def board() -> Board:
    board = Board()
    board.see(look(QUIET, BUSY))
    return board


def shown(board: Board) -> list[str]:
    return [row.item.service.name if row.replica is None else row.replica.replica.name for row in board.rows]


def chosen(board: Board) -> str:
    return shown(board)[board.chosen]


def test_orders(board: Board) -> None:
    assert shown(board) == ["api", "api-1", "api-2", "web", "web-1", "web-2"]
    board.press("c")
    assert (board.order, shown(board)) == (Order.RATE, ["web", "web-2", "web-1", "api", "api-1", "api-2"])
    board.press("a")
    assert shown(board) == ["api", "api-1", "api-2", "web", "web-2", "web-1"]
    board.press("w")
    assert shown(board) == ["api", "api-2", "api-1", "web", "web-1", "web-2"]
    board.press("n")
    assert shown(board)[1] == "api-1"


def test_the_chosen_row_is_the_same_one_whatever_the_order(board: Board) -> None:
    for key in ("down", "down", "down", "down"):
        board.press(key)
    assert chosen(board) == "web-1"
    board.press("c")
    assert chosen(board) == "web-1"
    board.see(look(service("aaa", replica("a")), QUIET, BUSY))
    assert chosen(board) == "web-1"
    board.see(look(QUIET))
    assert chosen(board) == "api"
    board.see(look())
    assert board.press("down") is None
    assert board.press("d") is None


def test_moves_end_at_the_ends(board: Board) -> None:
    board.press("up")
    assert chosen(board) == "api"
    board.press("end")
    board.press("page down")
    assert chosen(board) == "web-2"
    board.press("home")
    assert chosen(board) == "api"


def test_a_drain_is_asked_for_twice_and_a_resume_once(board: Board) -> None:
    board.press("down")
    assert board.press("d") is None
    assert str(board.question) == "drain api-1 of api"
    assert board.press("x") is None
    assert board.question is None
    board.press("d")
    assert board.press("y") == Wish(Verb.DRAIN, "api", "api-1", "id-of-api-1")
    assert board.press("r") == Wish(Verb.RESUME, "api", "api-1", "id-of-api-1")


def test_a_service_as_a_whole_is_not_drained(board: Board) -> None:
    assert board.press("d") is None
    assert board.question is None
    assert board.press("r") is None


def test_the_question_is_about_what_was_chosen_then(board: Board) -> None:
    board.press("down")
    board.press("d")
    board.see(look(BUSY))
    wish = board.press("y")
    assert wish is not None
    assert wish.replica == "api-1"


@pytest.mark.parametrize("key", ["q", "escape"])
def test_leaving(board: Board, key: str) -> None:
    board.press(key)
    assert board.is_over


def test_trends_are_of_the_last_looks_and_forgotten_with_what_is_gone(board: Board) -> None:
    for rate in range(30):
        board.see(look(service("web", replica("web-1", rate=float(rate)))))
    assert list(board.rows[1].trend) == [float(rate) for rate in range(10, 30)]
    board.see(look())
    board.see(look(service("web", replica("web-1", rate=None))))
    assert list(board.rows[1].trend) == []


def test_with_very_many_replicas_services_alone_have_trends() -> None:
    board = Board()
    board.see(look(service("web", *(replica(f"web-{number}") for number in range(5_001)))))
    assert list(board.rows[0].trend) == [5_001.0]
    assert list(board.rows[1].trend) == []


def test_sparks() -> None:
    assert spark([]) == ""
    assert spark([0, 0]) == "  "
    assert spark([0, 1, 50, 100]) == " ▁▄█"
    assert spark([0, 1, 50, 100], " .#") == " ..#"


def drawn(board: Board, size: tuple[int, int], said: tuple[str, ...] = ()) -> list[str]:
    console = Console(file=io.StringIO(), width=size[0], height=size[1], color_system=None, force_terminal=True)
    console.print(Screen(view(board, 1.0, "12:00:00", said, size)), end="")
    file = console.file
    assert isinstance(file, io.StringIO)
    return [line.rstrip() for line in file.getvalue().split("\n")]


def test_how_it_looks(board: Board) -> None:
    board.see(look(QUIET, BUSY))
    lines = drawn(board, (120, 20), ("web-1 gets no new connections",))
    assert lines[0] == "netshare top, every 1 s · 12:00:00 · agent: pid 7"
    assert lines[3].split() == ["NAME", "STATE", "WEIGHT", "NEW/S", "ACTIVE", "TREND", "ENDPOINT", "REASON"]
    assert lines[4].split()[:4] == ["api", "80/tcp", "(IPv4", "only)"]
    assert lines[5].split()[:5] == ["api-1", "ready", "1", "0.5", "9"]
    assert lines[-2] == "web-1 gets no new connections"
    assert lines[-1].startswith("by name · ")
    board.press("down")
    board.press("d")
    assert drawn(board, (120, 20))[-1] == "drain api-1 of api? y: yes, any other key: no"


def test_the_chosen_row_is_always_in_sight() -> None:
    board = Board()
    board.see(look(*(service(f"s{n:04}", replica(f"r{n:04}")) for n in range(1_000))))
    for key in ("end", "home", *["page down"] * 50, *["up"] * 3):
        board.press(key)
        assert any(chosen(board) in line for line in drawn(board, (80, 10)))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 60), st.text(max_size=30))
def test_it_fits_every_terminal_and_no_name_does_anything_to_it(width: int, height: int, name: str) -> None:
    board = Board()
    odd = replica("x")
    board.see(look(QUIET, service("[red]web", replace(odd, replica=replace(odd.replica, name=name, reason=name)))))
    lines = drawn(board, (width, height), (name,))
    assert len(lines) == height
    assert all(cell_len(line) <= width and line.isprintable() for line in lines)


def test_it_needs_a_terminal(netshare: Netshare) -> None:
    done = netshare("top")
    assert done.code == 2
    assert "status --watch" in done.err

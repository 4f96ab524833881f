"""What the agent puts up is read again as it was; and what is no sense is no knowledge."""

import json
import os
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netshare.core.checks import health_check
from netshare.core.health import GRACE, Probe, Standing, Verdict
from netshare.core.model import Endpoint
from netshare.health.board import HealthBoard
from netshare.health.known import KnownHealth
from netshare.runtime.boot import boot_time

CHECK = health_check("http:8081/up interval=1s rise=1 host=shop.example")
ONE = Probe("shop/web", "id-1", Endpoint(ip_address("10.0.0.1"), 8080), CHECK)
TWO = Probe("web", "fd00::1", Endpoint(ip_address("fd00::1"), 80), health_check("tcp"))
THREE = Probe("api", "id-3", Endpoint(ip_address("10.0.0.3"), 80), health_check("engine"))
VERDICTS = {
    ONE: Verdict(Standing.UNHEALTHY, passed=1, was_healthy=True, since=12.5, reason="HTTP 500"),
    TWO: Verdict(failed=2, reason="connection refused"),
    THREE: Verdict(Standing.HEALTHY, was_healthy=True, since=7.5),
}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "health.json"


@pytest.fixture
def board(path: Path, clock: Clock) -> HealthBoard:
    return HealthBoard(path, clock)


def test_what_was_put_up_is_read_again(board: HealthBoard, path: Path) -> None:
    board.publish(VERDICTS)
    assert board.read(renewed=False) == VERDICTS
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208 (names are wanted)


def test_what_an_earlier_netshare_put_up_is_read_too(board: HealthBoard, path: Path) -> None:
    board.publish(VERDICTS)
    path.write_text(path.read_text().replace('"schema":2', '"schema":1'))
    assert board.read(renewed=False) == VERDICTS


def test_verdicts_on_what_can_not_be_probed_are_none(board: HealthBoard, path: Path) -> None:
    board.publish(VERDICTS)
    path.write_text(path.read_text().replace('"engine"', '"none"'))
    assert board.read(renewed=False) == {}


def test_each_putting_up_replaces_the_one_before(board: HealthBoard, path: Path) -> None:
    board.publish(VERDICTS)
    board.publish({TWO: VERDICTS[TWO]})
    assert board.read(renewed=False) == {TWO: VERDICTS[TWO]}
    board.publish({})
    board.publish({})
    assert not path.exists()
    assert board.read(renewed=True) == {}


def test_a_verdict_gets_old_by_its_own_check(board: HealthBoard, clock: Clock) -> None:
    board.publish(VERDICTS)
    clock.now += 3 * 1 + GRACE + 0.1
    assert board.read(renewed=False).keys() == {TWO, THREE}
    clock.now += 3 * 1
    assert board.read(renewed=False) == {}
    assert board.read(renewed=True) == VERDICTS
    clock.now = 0.0  # another boot
    assert board.read(renewed=False) == {}


def test_a_link_is_neither_followed_nor_written_through(board: HealthBoard, path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.with_name(".health.json.new").symlink_to(victim)
    path.symlink_to(victim)
    assert board.read(renewed=True) == {}
    board.publish(VERDICTS)
    assert victim.read_text() == "precious"
    assert board.read(renewed=True) == VERDICTS


def test_what_is_no_file_is_no_knowledge(board: HealthBoard, path: Path) -> None:
    os.mkfifo(path)
    assert board.read(renewed=True) == {}
    path.unlink()
    path.mkdir()
    assert board.read(renewed=True) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"schema": 3, "as_of": 1, "verdicts": []}',
        b'{"schema": [1], "as_of": 1, "verdicts": []}',
        b'{"schema": 1, "as_of": "now", "verdicts": []}',
        b'{"schema": 1, "as_of": 1}',
        b'{"schema": 1, "as_of": 1, "verdicts": {"a": 1}}',
        b'{"schema": 1, "as_of": 1, "verdicts": [1]}',
        b"[" * 100_000,
    ],
    ids=lambda content: repr(content[:40]),
)
def test_garbage_is_no_knowledge(board: HealthBoard, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert board.read(renewed=True) == {}


@pytest.mark.parametrize("key", ["service", "endpoint", "check", "standing", "passed", "since", "reason"])
@given(value=st.none() | st.text(max_size=5) | st.floats() | st.lists(st.integers(), max_size=2) | st.integers())
def test_a_damaged_entry_never_does_harm(tmp_path_factory: pytest.TempPathFactory, key: str, value: object) -> None:
    path = tmp_path_factory.mktemp("board") / "health.json"
    board = HealthBoard(path)
    board.publish({ONE: VERDICTS[ONE]})
    document = json.loads(path.read_bytes())
    document["verdicts"][0][key] = value
    path.write_text(json.dumps(document))
    for verdict in board.read(renewed=True).values():
        assert isinstance(verdict.standing, Standing)
        assert isinstance(verdict.passed, int)
        assert verdict.reason is None or isinstance(verdict.reason, str)


class Agent:
    def __init__(self, pid: int | None) -> None:
        self._pid = pid

    def pid(self) -> int | None:
        return self._pid


def test_while_an_agent_runs_what_it_put_up_is_never_old(board: HealthBoard, clock: Clock) -> None:
    board.publish(VERDICTS)
    clock.now += 100_000
    with_agent, without = KnownHealth(board, Agent(42)).verdicts(), KnownHealth(board, Agent(None)).verdicts()
    assert (with_agent.by_probe, with_agent.is_probed) == (VERDICTS, True)
    assert (without.by_probe, without.is_probed) == ({}, False)


def test_the_clock_goes_forward() -> None:
    before = boot_time()
    assert before <= boot_time()

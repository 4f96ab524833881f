"""What is written down of bridges: wholly or not at all, and no path of anybody else's."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from netshare.errors import NetfilterError
from netshare.netfilter import bridges
from netshare.netfilter.bridges import HostLinks
from netshare.netfilter.switches import RouteLocalnet


@pytest.fixture
def turned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Have switches note what is done with them, and be on."""
    done: list[tuple[str, bool]] = []

    def turn(self: RouteLocalnet, *, on: bool) -> None:
        done.append((self.interface, on))

    monkeypatch.setattr(RouteLocalnet, "turn", turn)
    monkeypatch.setattr(RouteLocalnet, "state", lambda _self: True)
    return done


@pytest.mark.parametrize(
    "noted",
    [
        "",
        "{",
        "7",
        '{"route_localnet": "br0"}',
        "[7]",
        "[[]]",
        '[["route_localnet"]]',
        '[[["route_localnet"], "br0"]]',
        '[["route_localnet", 7]]',
        '[["route_localnet", "../../../../tmp/br0"]]',
        '[["route_localnet", ".."]]',
        '[["route_localnet", ""]]',
        '[["route_localnet", "longer-than-16-bytes"]]',
        "[" * 100_000,
    ],
)
def test_nonsense_says_nothing(tmp_path: Path, turned: list[tuple[str, bool]], noted: str) -> None:
    (tmp_path / "bridges.json").write_text(noted)
    HostLinks(tmp_path).serve([])
    assert turned == []


def test_what_was_switched_on_is_switched_off(tmp_path: Path, turned: list[tuple[str, bool]]) -> None:
    (tmp_path / "bridges.json").write_text(json.dumps([["route_localnet", "br-0.1"]]))
    HostLinks(tmp_path).serve([])
    assert turned == [("br-0.1", False)]
    assert not (tmp_path / "bridges.json").exists()


def test_a_disk_that_is_full_is_said_and_nothing_is_switched(
    tmp_path: Path, turned: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes, *, lasting: bool) -> None:  # noqa: ARG001
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    switches: Callable[[object], list[RouteLocalnet]] = lambda _: [RouteLocalnet("br0")]  # noqa: E731
    monkeypatch.setattr(bridges, "replace_file", full)
    monkeypatch.setattr(bridges, "_switches", switches)
    monkeypatch.setattr(RouteLocalnet, "state", lambda _self: False)
    with pytest.raises(NetfilterError, match="No space left") as refused:
        HostLinks(tmp_path).serve([])
    assert "room left" in (refused.value.hint or "")
    assert turned == []

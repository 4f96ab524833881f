"""What the agent gives up, looked at from a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from netshare.runtime import privileges
from tests.prerequisites import require, root

_LOOK = """
import json, os, subprocess, sys
from pathlib import Path
from netshare.runtime import privileges
def sets(text):
    lines = dict(line.split(":\\t") for line in text.splitlines() if line.startswith(("Cap", "NoNewPrivs")))
    return {key: int(value, 16) for key, value in lines.items()}
prepare, action = sys.argv[1:]
exec(prepare)
exec(action)
own = sets(Path("/proc/self/status").read_text())
child = sets(subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout)
print(json.dumps([own, child]))
"""
KEPT = sum(1 << number for number in privileges.KEPT)


def look(prepare: str = "", action: str = "privileges.keep_only(privileges.KEPT)") -> list[dict[str, int]]:
    require(root())
    done = subprocess.run(
        [sys.executable, "-c", _LOOK, prepare, action],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    found: list[dict[str, int]] = json.loads(done.stdout)
    return found


def test_what_is_left_is_what_is_needed_and_a_program_it_starts_has_no_more() -> None:
    before, _ = look(action="")
    had = before["CapEff"]
    for sets in look():
        assert sets["CapEff"] == sets["CapPrm"] == had & KEPT
        assert sets["CapBnd"] == before["CapBnd"] & KEPT
        assert sets["CapInh"] & ~KEPT == sets["CapAmb"] == 0
        assert sets["NoNewPrivs"] == 1


def test_a_second_time_nothing_changes_and_nothing_is_gained() -> None:
    once = look()
    assert look("privileges.keep_only(privileges.KEPT)") == once
    assert look("privileges.keep_only({privileges.NET_ADMIN})")[0]["CapEff"] == 1 << privileges.NET_ADMIN


def test_a_sandbox_that_has_left_nothing_to_give_up_is_asked_for_nothing() -> None:
    forbid = "privileges.keep_only(privileges.KEPT); privileges._set = None"
    assert look(forbid) == look()


def test_files_of_a_user_who_lets_nobody_read_them_stay_readable(tmp_path: Path) -> None:
    """Python loads what it needs when it needs it."""
    require(root())
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    chown = f"os.chown({str(home)!r}, 1000, 1000); sys.path.append({str(home / 'lib')!r})"
    for sets in look(chown, "privileges.drop()"):
        assert sets["CapEff"] == KEPT | 1 << privileges.DAC_READ_SEARCH
    assert look("sys.path[:] = []; sys.path.append('/usr/lib')", "privileges.drop()")[0]["CapEff"] == KEPT


@pytest.mark.parametrize("place", ["/", "/usr/lib", "/nowhere/at/all"])
def test_what_all_may_read_needs_no_capability(place: str) -> None:
    assert privileges._is_readable(Path(place))  # noqa: SLF001

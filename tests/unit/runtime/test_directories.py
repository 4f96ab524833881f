"""Root does nobody's bidding: directories that somebody else could meddle with are not used."""

import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netshare.core.model import Listener, Service
from netshare.errors import NetshareError
from netshare.runtime import directories
from netshare.runtime.agent import AgentClient, claim
from netshare.runtime.directories import make, require_safe
from netshare.runtime.lock import exclusive
from netshare.store.directory import DefinitionStore
from netshare.store.drains import DrainStore
from tests.prerequisites import require, root

NOBODY = 65534


@pytest.fixture
def shared() -> Iterator[Path]:
    """Make a directory like /tmp: all may write there, each may remove their own only."""
    with tempfile.TemporaryDirectory(prefix="netshare-shared-") as made:
        Path(made).chmod(0o1777)
        yield Path(made)


def test_what_is_missing_is_made_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make(tmp_path / "lib" / "netshare" / "services")
    finally:
        os.umask(before)
    made = tmp_path / "lib" / "netshare"
    assert [stat.S_IMODE(each.stat().st_mode) for each in (made.parent, made, made / "services")] == [0o755] * 3


def test_one_that_is_not_there_yet_is_safe(tmp_path: Path) -> None:
    require_safe(tmp_path / "none" / "at" / "all")


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o1777])
def test_one_that_others_may_write_to(tmp_path: Path, mode: int) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(NetshareError, match=rf"it can be written to by others \(mode {mode:04o}\)") as refused:
        require_safe(directory)
    assert "chmod go-w" in (refused.value.hint or "")
    if not mode & stat.S_ISVTX:
        with pytest.raises(NetshareError, match=f"{re.escape(str(directory))} can be written to"):
            require_safe(directory / "netshare")


def test_a_shared_one_may_stand_on_the_way(shared: Path) -> None:
    make(shared / "mine" / "run")
    require_safe(shared / "mine" / "run")


def test_a_link_is_followed_and_what_it_leads_to_counts(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/../real")
    require_safe(tmp_path / "link" / "run")
    (tmp_path / "real").chmod(0o777)
    with pytest.raises(NetshareError, match="real can be written to by others"):
        require_safe(tmp_path / "link" / "run")


def test_links_that_lead_to_each_other_are_no_endless_way(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    require_safe(tmp_path / "one")


def test_a_name_that_a_terminal_would_act_on(tmp_path: Path) -> None:
    directory = tmp_path / "\x1b[2J"
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(NetshareError) as refused:
        require_safe(directory)
    assert refused.value.message.isprintable()


USES: dict[str, Callable[[Path], object]] = {
    "load": lambda directory: DefinitionStore(directory).load(),
    "get": lambda directory: DefinitionStore(directory).get("web"),
    "save": lambda directory: DefinitionStore(directory).save(Service("web", (Listener(80),))),
    "delete": lambda directory: DefinitionStore(directory).delete("web"),
    "drains": lambda directory: DrainStore(directory / "drains.json").load(),
    "lock": lambda directory: exclusive(directory / "lock").__enter__(),
    "agent": lambda directory: claim(directory).__enter__(),
    "pid": lambda directory: AgentClient(directory).pid(),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("trap", ["theirs", "a link of theirs", "below theirs"])
def test_root_uses_nothing_that_a_local_user_prepared(shared: Path, use: str, trap: str) -> None:
    require(root())
    victim, prepared = shared / "victim", shared / "run"
    victim.mkdir()
    if trap == "a link of theirs":
        prepared.symlink_to(victim)
    else:
        prepared.mkdir()
    os.lchown(prepared, NOBODY, NOBODY)
    directory = prepared / "netshare" if trap == "below theirs" else prepared
    with pytest.raises(NetshareError, match=f"belongs to user {NOBODY}"):
        USES[use](directory)
    assert list(victim.iterdir()) == []
    assert trap == "a link of theirs" or list(prepared.iterdir()) == []


def test_users_of_outside_a_user_namespace_can_not_be_told_from_root(
    shared: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever is root in a user namespace only finds / itself to be nobody's."""
    require(root())
    os.chown(shared, NOBODY, NOBODY)
    (tmp_path / "self").mkdir()
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "self/uid_map").write_text("         0       1000          1\n")
    (tmp_path / "sys/kernel/overflowuid").write_text(f"{NOBODY}\n")
    monkeypatch.setattr(directories, "_PROC", tmp_path)
    require_safe(shared / "run")


_DROP = f"""
import codecs, fcntl, os, sys
from pathlib import Path
from netshare.runtime.agent import AgentClient
codecs.lookup("ascii")
os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
"""

_HOLD = """
try:
    file = open(sys.argv[1], "rb")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError as error:
    print(type(error).__name__, flush=True)
else:
    print("held", flush=True)
    sys.stdin.read()
"""

_PID = """
print(AgentClient(Path(sys.argv[1])).pid())
"""


def as_nobody(code: str, *words: str) -> str:
    """Run a program as an ordinary user, who may not be allowed to read Python's own files: so it is loaded before."""
    done = subprocess.run(
        [sys.executable, "-c", _DROP + code, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    return done.stdout.strip()


def test_a_local_user_can_not_pass_for_the_agent(shared: Path) -> None:
    """flock(2) asks for no right to write: whoever may open a lock for reading may hold it."""
    require(root())
    directory = shared / "run"
    with claim(directory):
        pass
    assert stat.S_IMODE((directory / "agent.lock").stat().st_mode) == 0o600
    assert as_nobody(_HOLD, str(directory / "agent.lock")) == "PermissionError"


def test_a_lock_of_before_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "agent.lock").touch(0o644)
    with claim(tmp_path):
        assert stat.S_IMODE((tmp_path / "agent.lock").stat().st_mode) == 0o600


def test_a_local_user_is_told_that_an_agent_runs_all_the_same(shared: Path) -> None:
    require(root())
    directory = shared / "run"
    assert as_nobody(_PID, str(directory)) == "None"
    with claim(directory):
        assert as_nobody(_PID, str(directory)) == str(os.getpid())
    assert as_nobody(_PID, str(directory)) == "None"

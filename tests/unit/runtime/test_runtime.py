import fcntl
import os
import stat
from pathlib import Path

import pytest

from netshare.errors import NetshareError, NotPermittedError
from netshare.runtime import capabilities, lock, paths


def test_the_paths_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETSHARE_STATE_DIR", raising=False)
    monkeypatch.setenv("NETSHARE_RUNTIME_DIR", "")
    assert paths.services_dir(paths.state_dir()) == Path("/var/lib/netshare/services")
    assert paths.lock_path(paths.runtime_dir()) == Path("/run/netshare/lock")


def test_the_environment_moves_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETSHARE_STATE_DIR", "state")
    monkeypatch.setenv("NETSHARE_RUNTIME_DIR", "/srv/run")
    assert paths.state_dir() == tmp_path / "state"
    assert paths.runtime_dir() == Path("/srv/run")


def is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_the_lock_is_held_and_let_go(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    with lock.exclusive(path):
        assert is_locked(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not is_locked(path)


def test_the_lock_is_let_go_by_an_error_too(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(ValueError, match="oops"), lock.exclusive(path):
        raise ValueError("oops")
    assert not is_locked(path)


def test_a_lock_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> int:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(os, "open", forbidden)
    with pytest.raises(NotPermittedError, match="Permission denied") as refused, lock.exclusive(tmp_path / "lock"):
        pass
    monkeypatch.undo()
    assert "as root" in (refused.value.hint or "")


def test_a_lock_that_is_no_plain_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "link", tmp_path / "file" / "lock"):
        with pytest.raises(NetshareError, match="can't be opened") as refused, lock.exclusive(path):
            pass
        assert refused.value.exit_code == 1


@pytest.mark.parametrize(
    ("effective", "expected"),
    [("000001ffffffffff", True), ("0000000000001000", True), ("0000000000000fff", False), ("0000000000000000", False)],
)
def test_the_right_to_program_the_network(tmp_path: Path, effective: str, expected: bool) -> None:  # noqa: FBT001
    status = tmp_path / "status"
    status.write_text(f"Name:\tnetshare\nCapPrm:\tffffffffffffffff\nCapEff:\t{effective}\n")
    assert capabilities.has_net_admin(status) is expected


def test_without_that_right_a_verb_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "has_net_admin", lambda: False)
    with pytest.raises(NotPermittedError, match="attach needs the right") as refused:
        capabilities.require_net_admin("attach")
    assert refused.value.exit_code == 5
    assert "sudo netshare attach" in (refused.value.hint or "")

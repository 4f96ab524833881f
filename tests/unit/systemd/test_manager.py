"""Its files; systemctl itself is a real one in tests/systemd."""

from pathlib import Path

import pytest

from netshare.errors import NetshareError, NotPermittedError
from netshare.systemd.manager import UNIT, Systemd


@pytest.fixture
def systemd(tmp_path: Path) -> Systemd:
    (tmp_path / "own").mkdir()
    (tmp_path / "lib").mkdir()
    return Systemd(tmp_path / "own", (tmp_path / "none", tmp_path / "lib"), tmp_path / "booted")


def test_what_is_written_is_read_again_and_removed(systemd: Systemd) -> None:
    assert systemd.written() is None
    systemd.write("[Unit]\n")
    assert systemd.written() == "[Unit]\n"
    assert systemd.path.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in systemd.path.parent.iterdir()] == [UNIT]
    systemd.remove()
    assert systemd.written() is None
    systemd.remove()


def test_a_unit_of_somebody_elses_is_left_alone(systemd: Systemd) -> None:
    systemd.path.write_text("[Unit]\nDescription=mine\n", encoding="utf-8")
    with pytest.raises(NetshareError, match="was not written by netshare"):
        systemd.written()


def test_a_masked_unit_stays_masked(systemd: Systemd) -> None:
    systemd.path.symlink_to("/dev/null")
    with pytest.raises(NetshareError) as raised:
        systemd.written()
    assert "systemctl unmask" in str(raised.value.hint)


def test_a_packages_unit(systemd: Systemd, tmp_path: Path) -> None:
    assert systemd.packaged() is None
    (tmp_path / "lib" / UNIT).write_text("[Unit]\n", encoding="utf-8")
    assert systemd.packaged() == "[Unit]\n"


def test_whether_systemd_is_here(systemd: Systemd, tmp_path: Path) -> None:
    assert not systemd.is_here()
    (tmp_path / "booted").mkdir()
    assert systemd.is_here()


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotPermittedError, match="can't be written"):
        Systemd(tmp_path / "nowhere").write("")

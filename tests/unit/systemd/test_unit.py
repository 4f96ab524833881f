"""What depends on where netshare is; that the unit works is shown by a real systemd (tests/systemd)."""

import os
from pathlib import Path

import pytest

from netshare.errors import NetshareError
from netshare.systemd import unit
from netshare.systemd.unit import Program, render

SYSTEM = Program(("/usr/bin/python3", "-P", "-m", "netshare"), (Path("/usr"),))


def line(text: str, key: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"{key}="))


def test_nothing_is_left_to_fill_in() -> None:
    text = render(SYSTEM, {})
    assert "@" not in text.replace("@system-service", "").replace("~@privileged @keyring @memlock", "")
    assert f"ExecStart={' '.join(SYSTEM.command)} agent" in text.splitlines()
    assert line(text, "ExecReload") == "ExecReload=/usr/bin/python3 -P -m netshare sync"
    assert line(text, "ProtectHome") == "ProtectHome=yes"
    assert "CAP_DAC" not in text
    assert "\n\n\n" not in text


def test_one_at_home_can_be_read() -> None:
    text = render(Program(SYSTEM.command, (Path("/root/.local/share/pipx/venvs/netshare-lb"),)), {})
    assert line(text, "ProtectHome") == "ProtectHome=read-only"


def test_one_that_is_somebody_elses_can_be_read_and_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "_PASSING", ())
    place = tmp_path / "alice" / "venv"
    place.mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(place, 4242, 4242)
    program = Program((str(place / "bin/python"),), (place,))
    assert "CAP_DAC_READ_SEARCH" in line(render(program, {}), "CapabilityBoundingSet")
    assert place in program.owned_by_others()


def test_one_that_all_may_write_is_told_of(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert tmp_path in Program((), (tmp_path / "not there", tmp_path)).owned_by_others()
    assert Program((), (Path("/usr"),)).owned_by_others() == ()


@pytest.mark.parametrize("place", ["/tmp/venv", "/run/netshare/venv", "/dev/shm/venv"])  # noqa: S108
def test_one_that_a_reboot_removes_is_refused(place: str) -> None:
    with pytest.raises(NetshareError, match="emptied at a reboot"):
        render(Program(("python",), (Path(place),)), {})


def test_the_agent_is_told_what_the_verbs_are_told() -> None:
    environment = {
        "NETSHARE_STATE_DIR": "/srv/a b",
        "DOCKER_HOST": 'tcp://h:1/"%',
        "HOME": "/root",
        "CONTAINER_HOST": "",
    }
    text = render(SYSTEM, environment)
    told = [line for line in text.splitlines() if line.startswith("Environment=")]
    assert told == ['Environment="NETSHARE_STATE_DIR=/srv/a b"', 'Environment="DOCKER_HOST=tcp://h:1/\\"%%"']
    assert line(text, "ReadWritePaths").endswith(' -/run/xtables.lock "/srv/a b"')


@pytest.mark.parametrize(
    "value", ["x\nExecStart=/bin/sh", "x\rUser=root", "\x1b[2J", "a\u2028b", "\udcff", "\0", "\x07" * 100_000]
)
def test_no_line_can_be_forged(value: str) -> None:
    with pytest.raises(NetshareError, match="can't be written into a unit") as refused:
        render(SYSTEM, {"NETSHARE_METRICS": value})
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 1000
    with pytest.raises(NetshareError, match="can't be written into a unit"):
        render(Program(("/opt/a", value), (Path("/usr"),)), {})


def test_what_is_filled_in_is_no_blank_and_no_variable() -> None:
    text = render(SYSTEM, {"NETSHARE_STATE_DIR": "/srv/@HOME@/$HOME", "NETSHARE_DRIVER": "it's; #"})
    assert 'Environment="NETSHARE_STATE_DIR=/srv/@HOME@/$HOME"' in text.splitlines()
    assert line(text, "ReadWritePaths").endswith(' -/run/xtables.lock "/srv/@HOME@/$HOME"')
    assert 'Environment="NETSHARE_DRIVER=it\'s; #"' in text.splitlines()


def test_words_that_systemd_would_expand() -> None:
    program = Program(("/opt/100% net$hare/python",), (Path("/usr"),))
    assert 'ExecStart="/opt/100%% net$$hare/python" agent' in render(program, {})

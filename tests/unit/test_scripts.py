"""The shell scripts: each says what it does, stops at the first error, and has nothing that shellcheck minds."""

import subprocess
from pathlib import Path

import pytest

from tests.prerequisites import program, require

SCRIPTS = sorted(
    path
    for path in (Path(__file__).parents[2] / "scripts").iterdir()
    if path.is_file() and path.read_bytes().startswith(b"#!/usr/bin/env bash")
)
VAGRANT = Path(__file__).parents[2] / "vagrant"
IN_MACHINES = (VAGRANT / "box/build", VAGRANT / "host.sh", VAGRANT / "client.sh", VAGRANT / "experiment")
FOR_ADMINISTRATORS = ("backup", "blue-green", "maintenance", "restart-replicas")


def test_they_are_found() -> None:
    assert set(FOR_ADMINISTRATORS) < {path.name for path in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_they_stop_at_the_first_error(script: Path) -> None:
    assert "\nset -euo pipefail\n" in script.read_text(encoding="utf-8")


def test_shellcheck_minds_nothing() -> None:
    require(program("shellcheck"))
    done = subprocess.run(
        ["shellcheck", "--external-sources", *SCRIPTS, *IN_MACHINES], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


@pytest.mark.parametrize("name", FOR_ADMINISTRATORS)
def test_help_and_usage(name: str) -> None:
    script = next(path for path in SCRIPTS if path.name == name)
    helped = subprocess.run([script, "--help"], capture_output=True, text=True, check=False)
    assert (helped.returncode, helped.stdout.startswith(f"usage: {name}")) == (0, True)
    for words in ([], ["--nonsense"], ["a", "b", "c"]):
        wrong = subprocess.run([script, *words], capture_output=True, text=True, check=False)
        assert (wrong.returncode, "usage:" in wrong.stderr) == (2, True), words


def test_virtual_machines_are_asked_for_properly(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "scripts" / "vm"
    environment = {"PATH": "/usr/bin:/bin", "NETSHARE_VM_HOME": str(tmp_path)}

    def call(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([script, *words], capture_output=True, text=True, check=False, env=environment)

    helped, nothing, unknown = call("--help"), call(), call("test", "potato")
    assert (helped.returncode, helped.stdout.startswith("usage: scripts/vm test")) == (0, True)
    assert (nothing.returncode, "usage: scripts/vm" in nothing.stderr) == (2, True)
    assert (unknown.returncode, "no such release: potato" in unknown.stderr) == (1, True)

"""What Tab brings: names and words, in every shell, and nothing loaded that takes its time."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.prerequisites import file, program, require

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts/completions"
COMPLETION = "/usr/share/bash-completion/bash_completion"
SLOW = ("docker", "requests", "pyroute2", "rich", "prometheus_client", "yaml", "netshare.wiring")
NAMES = {
    "web": ["web-1", "web-2"],
    "db": ["10.0.3.8:5433", "[fd00::2]:5432"],
    "$(id)": ["x"],
    "api": ["$(id)", "a b", "api-1"],
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two directories as netshare leaves them, and a command called netshare."""
    (tmp_path / "state/services").mkdir(parents=True)
    for name in ("web.json", "PROJECT%2Fweb.json", ".web.json.new"):
        (tmp_path / "state/services" / name).touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/names.json").write_text(json.dumps({"schema": 1, "services": NAMES}), encoding="utf-8")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/netshare"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m netshare "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return tmp_path


def environment(place: Path) -> dict[str, str]:
    return os.environ | {
        "NETSHARE_STATE_DIR": str(place / "state"),
        "NETSHARE_RUNTIME_DIR": str(place / "run"),
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(SCRIPTS.parents[1]),
        "HOME": str(place),
    }


def asked(place: Path, *command: str) -> str:
    done = subprocess.run(command, env=environment(place), cwd=place, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


def bash(place: Path, line: str) -> list[str]:
    require(file(COMPLETION))
    program_text = """
    source "$3"
    source "$1"
    COMP_LINE=$2 COMP_POINT=${#2}
    read -ra COMP_WORDS <<<"$2"
    [[ $2 != *" " ]] || COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    compopt() { :; }
    _netshare netshare
    printf '%s\\n' "${COMPREPLY[@]}"
    """
    return asked(
        place, "bash", "--norc", "-c", program_text, "bash", str(SCRIPTS / "netshare.bash"), line, COMPLETION
    ).split()


def fish(place: Path, line: str) -> list[str]:
    given = "source $argv[1]; complete -C $argv[2]"
    said = asked(place, "fish", "--no-config", "-c", given, str(SCRIPTS / "netshare.fish"), line)
    return [each.split("\t")[0] for each in said.splitlines()]


def zsh(place: Path, line: str) -> list[str]:
    """Sources what compinit would load, where the function that would draw the menu only tells what is in it."""
    given = """
    _arguments() { print -r -- "$@" }
    words=("${(s: :)2}"); [[ $2 != *" " ]] || words+=("")
    CURRENT=${#words}
    source $1
    """
    said = asked(place, "zsh", "-f", "-c", given, "zsh", str(SCRIPTS / "_netshare"), line)
    entries = said.removeprefix("*: :((").removesuffix("))\n").splitlines()
    return [entry.split('":"')[0].strip('"').replace("\\:", ":") for entry in entries]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("netshare dra", ["drain"]),
        ("netshare drain we", ["web"]),
        ("netshare weight --output json api ", ["api-1"]),
        ("netshare attach web 80 --strategy r", ["random", "round-robin"]),
        ("netshare agent un", ["uninstall"]),
        ("netshare drain web web-1 --wa", ["--wait"]),
        ("netshare attach web 80 --weight web-2", ["web-2="]),
    ],
)
def test_what_tab_offers(place: Path, line: str, offered: list[str]) -> None:
    assert bash(place, line) == offered


@pytest.mark.parametrize("shell", [pytest.param(shell, id=shell.__name__) for shell in (bash, fish, zsh)])
def test_it_does_in_every_shell(place: Path, shell: Callable[[Path, str], list[str]]) -> None:
    require(program(shell.__name__))
    assert sorted(shell(place, "netshare drain ")) == ["PROJECT/web", "api", "db", "web"]
    assert shell(place, "netshare drain web ") == ["web-1", "web-2"]
    assert shell(place, "netshare attach web 80 --no-w") == ["--no-wait"]


def test_bash_takes_colons_for_the_ends_of_words(place: Path) -> None:
    assert bash(place, "netshare drain db 10.0.3.8:5") == ["5433"]


@pytest.mark.parametrize("line", ["netshare drain web w", "netshare attach w", "netshare st"])
def test_nothing_is_loaded_that_takes_its_time(place: Path, line: str) -> None:
    words = line.split()
    own = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_NETSHARE_COMPLETE": "complete_bash"}
    command = [sys.executable, "-X", "importtime", "-m", "netshare"]
    done = subprocess.run(command, env=environment(place) | own, capture_output=True, text=True, check=True)
    assert done.stdout.strip()
    loaded = {each.rpartition("|")[2].strip() for each in done.stderr.splitlines()}
    assert "netshare.cli.app" in loaded
    assert not loaded & set(SLOW)


def test_without_anything_there(place: Path) -> None:
    shutil.rmtree(place / "state")
    (place / "run/names.json").write_text("[", encoding="ascii")
    assert bash(place, "netshare drain ") == []

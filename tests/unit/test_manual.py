"""The manual pages: made of the command line as it is, whole, and without a fault in the eyes of man and mandoc."""

import os
import subprocess
from pathlib import Path

import pytest

from netshare.cli.app import VERBS
from scripts.manual import words
from scripts.manual.pages import PLACE, pages
from scripts.manual.roff import escaped, prose
from tests.prerequisites import program, require

FILES = sorted(PLACE.iterdir())


def test_they_follow_the_command_line() -> None:
    """`python -m scripts.manual` writes them anew."""
    assert {path.name: path.read_text(encoding="utf-8") for path in FILES} == pages()


def test_each_verb_has_one_with_examples() -> None:
    assert {path.stem for path in FILES} == {"netshare", *(f"netshare-{verb}" for verb in VERBS)}
    assert set(words.EXAMPLES) == {"", *VERBS}
    assert set(words.SEE) == set(VERBS)
    assert set(words.MORE) == set(VERBS)
    assert {each for some in words.SEE.values() for each in some} <= set(VERBS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nobody_finds_fault_with_them(path: Path) -> None:
    require(program("man"), program("mandoc"))
    environment = os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
    shown = subprocess.run(
        ["man", "--warnings", "--local-file", str(path)], env=environment, capture_output=True, text=True, check=True
    )
    assert shown.stderr == ""
    assert path.stem.upper() in shown.stdout
    lint = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", str(path)], capture_output=True, text=True, check=False
    )
    assert (lint.returncode, lint.stdout) == (0, "")


def test_every_sign_stands_for_itself() -> None:
    assert escaped(".TH") == "\\&.TH"
    assert escaped("a-b\\c'd") == "a\\-b\\ec\\(aqd"
    assert prose("say `--wait`, or\n.not") == "say \\fB\\-\\-wait\\fP, or\n\\&.not"
    with pytest.raises(ValueError, match="backquote"):
        prose("say `--wait")

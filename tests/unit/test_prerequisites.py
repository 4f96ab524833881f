"""A missing prerequisite skips on a laptop with its reason listed, and fails in CI."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import prerequisites

TESTS = Path(prerequisites.__file__).parent
SKIPPING = '''
import pytest

from tests.prerequisites import program, require

def test_passes() -> None:
    require(program("sh"))

def test_requires() -> None:
    require(program("no-such-program"))

@pytest.mark.skip(reason="for a whim")
def test_skips_otherwise() -> None:
    """Never run."""
'''


def run(tmp_path: Path, *, ci: bool) -> subprocess.CompletedProcess[str]:
    """Run pytest on a project that has these tests' conftest and one file of its own."""
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "prerequisites.py"):
        shutil.copy(TESTS / name, tmp_path / "tests" / name)
    shutil.copy(TESTS.parent / "pyproject.toml", tmp_path)
    (tmp_path / "tests/test_skipping.py").write_text(SKIPPING, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTEST_ADDOPTS"}}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    environment |= {"CI": "true"} if ci else {}
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)


def test_on_a_laptop_it_skips_and_says_why(tmp_path: Path) -> None:
    done = run(tmp_path, ci=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed, 2 skipped" in done.stdout
    assert "    1  needs the program no-such-program" in done.stdout
    assert "    1  for a whim" in done.stdout


def test_in_ci_it_fails_and_so_does_every_other_skip(tmp_path: Path) -> None:
    done = run(tmp_path, ci=True)
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed, 1 error" in done.stdout
    assert "in CI nothing may be: needs the program no-such-program" in done.stdout
    assert "in CI nothing may be: for a whim" in done.stdout


def test_a_program_is_found_where_an_ordinary_users_path_does_not_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert prerequisites.program("no-such-program") == "needs the program no-such-program"
    found = shutil.which("ldconfig", path="/usr/sbin:/sbin")
    assert prerequisites.program("ldconfig") is None or found is None


def test_the_reasons_of_several_are_joined() -> None:
    with pytest.raises(pytest.skip.Exception, match="needs root; needs the program nft"):
        prerequisites.require(None, "needs root", "needs the program nft")

"""The short form of `scripts/soak`: what grows fast, and what drifts at all, is seen within a minute."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.prerequisites import require, root

pytestmark = [pytest.mark.netns, pytest.mark.slow, pytest.mark.timeout(300)]

_SCRIPT = Path(__file__).parents[2] / "scripts/soak"


def test_nothing_grows_and_nothing_drifts() -> None:
    require(root())
    words = [sys.executable, str(_SCRIPT), "--seconds", "45", "--seed", "1"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for said in ("a second", "no drift", ": 0 failed"):
        assert said in done.stdout, done.stdout

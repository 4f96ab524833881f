"""The short form of `scripts/chaos`: the same steps every time, so that what fails was made to fail by a change."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.prerequisites import program, require, root

pytestmark = [pytest.mark.netns, pytest.mark.slow, pytest.mark.timeout(300)]

_SCRIPT = Path(__file__).parents[2] / "scripts/chaos"


def test_nothing_breaks() -> None:
    require(root(), *map(program, ("nft", "unshare", "mount", "sysctl")))
    words = [sys.executable, str(_SCRIPT), "--seed", "8", "--steps", "80", "--seconds", "40", "--verbose"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "nothing broken" in done.stdout

"""The short form of `scripts/chaos`: every kind of step, drawn by a seed of its own each day of the year.

Which one it was is printed, so that a failure can be seen again.
"""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.prerequisites import program, require, root

pytestmark = [pytest.mark.netns, pytest.mark.slow, pytest.mark.timeout(300)]

_SCRIPT = Path(__file__).parents[2] / "scripts/chaos"


@pytest.mark.parametrize("seed", [20261122, datetime.now(UTC).timetuple().tm_yday], ids=["always", "today"])
def test_nothing_breaks(seed: int) -> None:
    require(root(), *map(program, ("nft", "unshare", "mount", "sysctl")))
    words = [sys.executable, _SCRIPT, "--seed", str(seed), "--steps", "60", "--seconds", "30", "--verbose"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "nothing broken" in done.stdout

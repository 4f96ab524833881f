"""The short form of `scripts/upgrade`: to a successor of this netshare under load, and back to this one."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.prerequisites import program, require, root

pytestmark = [pytest.mark.netns, pytest.mark.slow, pytest.mark.timeout(300)]

_SCRIPT = Path(__file__).parents[2] / "scripts/upgrade"


def test_nothing_is_lost_on_the_way_there_and_back() -> None:
    require(root(), *map(program, ("nft", "unshare", "mount", "sysctl")))
    done = subprocess.run(
        [sys.executable, str(_SCRIPT)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    for said in (
        "from this to the next: ",
        "its tables were made anew; 12 of 12 connections held",
        "back, with a definition that is not understood: the kernel stays as it is, 12 connections held",
        "back, with all definitions understood: tables made anew, 12 of 12 connections held",
        "none failed",
    ):
        assert said in done.stdout, done.stdout

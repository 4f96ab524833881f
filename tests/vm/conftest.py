"""The machines of a run of `scripts/vm test`, for every test of this folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.machines import Pair, eventually


@pytest.fixture(scope="session")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The two machines, as the tests before this one left them."""
    pair = Pair(Path(os.environ["NETSHARE_VM"]), tmp_path_factory.mktemp("ssh"))
    if any("fresh" in getattr(item, "fixturenames", ()) for item in request.session.items):
        pair.remember()
    eventually(pair.is_ready)
    yield pair
    pair.close()


@pytest.fixture
def fresh(pair: Pair) -> Pair:
    """The two machines, the host as it was when the first such test began, if need be in an earlier run."""
    pair.restore()
    return pair


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """What a test has to tell of what it saw: lines that are printed, whether it passes or not."""
    lines: list[str] = []
    yield lines
    with capsys.disabled():
        for line in lines:
            print(f"\n    {request.node.name}: {line}", end="", flush=True)  # noqa: T201 (for whoever reads the run)

"""Labs on the real kernel, with real firewalls in them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from netshare.lab.topology import Lab
from tests.netns.admin import Admin
from tests.prerequisites import program, require, root


@pytest.fixture(autouse=True)
def prerequisites() -> None:
    """Need the machine's own root: for mount namespaces, and for legacy tables."""
    require(root(), *map(program, ("nft", "iptables-nft", "iptables-legacy")))


@pytest.fixture
def lab(prerequisites: None) -> Iterator[Lab]:  # noqa: ARG001 (wanted for what it does)
    """A host, a client outside, three replicas on port 8080."""
    with Lab() as built:
        yield built


@pytest.fixture
def admin(lab: Lab, tmp_path: Path) -> Iterator[Admin]:
    """One with root on the lab's host."""
    made = Admin(lab, tmp_path)
    yield made
    made.close()

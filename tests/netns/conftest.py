"""Labs on the real kernel, for every test of this folder."""

from collections.abc import Iterator

import pytest

from netshare.errors import NotPermittedError
from netshare.lab.privileges import gain_privileges
from netshare.lab.topology import Lab
from tests.prerequisites import require


@pytest.fixture(scope="session", autouse=True)
def privileges() -> None:
    """May build labs: as root, or in a user namespace, which the whole run then stays in."""
    try:
        gain_privileges()
    except NotPermittedError as error:
        require(f"{error.message}; {error.hint}")


@pytest.fixture
def lab(privileges: None) -> Iterator[Lab]:  # noqa: ARG001 (wanted for what it does)
    """A host, a client outside, three replicas on port 8080."""
    with Lab() as built:
        yield built

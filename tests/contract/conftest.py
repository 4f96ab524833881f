"""Every driver there is, fake or real, on a kernel of its own."""

from collections.abc import Iterator

import pytest

from netshare.errors import NotPermittedError
from netshare.lab.namespace import Namespace
from netshare.lab.privileges import gain_privileges
from netshare.netfilter.nftables.driver import NftablesDriver
from tests.contract.bench import Bench
from tests.fakes.driver import FakeDriver
from tests.prerequisites import require


@pytest.fixture(scope="session")
def namespace() -> Iterator[Namespace]:
    """A network namespace with nothing in it."""
    try:
        gain_privileges()
    except NotPermittedError as error:
        require(f"{error.message}; {error.hint}")
    made = Namespace("contract")
    yield made
    made.close()


@pytest.fixture(params=["fake", pytest.param("nftables", marks=pytest.mark.netns)])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "fake":
        fake = FakeDriver()
        yield Bench(fake, lambda: len(fake.committed))
        return
    driver = NftablesDriver()
    request.getfixturevalue("namespace").run(driver.generation)  # its socket is the namespace's from now on
    yield Bench(driver, driver.generation)
    driver.remove_all()
    driver.close()

"""Every driver there is, fake or real, on a kernel of its own."""

from collections.abc import Iterator, Mapping

import pytest

from netshare.core.model import Family
from netshare.errors import NotPermittedError
from netshare.lab.namespace import Namespace
from netshare.lab.privileges import gain_privileges
from netshare.netfilter.iptables.driver import IptablesDriver
from netshare.netfilter.iptables.tables import Tables
from netshare.netfilter.nftables.driver import NftablesDriver
from tests.contract.bench import Bench
from tests.fakes.driver import FakeDriver
from tests.inside import DRIVERS, InNamespace
from tests.prerequisites import legacy_iptables, require


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


class CountedIptables(IptablesDriver):
    """The kernel does not count what is committed to legacy xtables."""

    commits = 0

    def _commit(self, scripts: Mapping[Family, str], held: Mapping[Family, Tables]) -> None:
        super()._commit(scripts, held)
        self.commits += any(scripts.values())


@pytest.fixture(params=["fake", *(pytest.param(name, marks=pytest.mark.netns) for name in DRIVERS)])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "fake":
        fake = FakeDriver()
        yield Bench(fake, lambda: len(fake.committed))
        return
    namespace = request.getfixturevalue("namespace")
    if request.param == "iptables":
        require(legacy_iptables())
        counted = CountedIptables()
        bench = Bench(InNamespace(namespace, counted), lambda: counted.commits)
        yield bench
        bench.driver.remove_all()
        return
    driver = NftablesDriver()
    namespace.run(driver.generation)  # its socket is the namespace's from now on
    yield Bench(driver, driver.generation)
    driver.remove_all()
    driver.close()

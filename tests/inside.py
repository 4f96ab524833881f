"""A driver that works in a lab's namespace, whichever thread calls it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from netshare.core.diff import Change
from netshare.core.model import IPTABLES, NFTABLES, Service
from netshare.core.ruleset import Ruleset, Target
from netshare.lab.namespace import Namespace
from netshare.netfilter.driver import Driver, Observation, Offer
from netshare.netfilter.drivers import HostDrivers
from netshare.netfilter.iptables.driver import IptablesDriver
from netshare.netfilter.nftables.driver import NftablesDriver
from netshare.netfilter.offers import offers
from tests.prerequisites import legacy_iptables, require

DRIVERS = (NFTABLES, IPTABLES)


class InNamespace:
    """A driver that works in a network namespace, from whichever thread it is called."""

    def __init__(self, namespace: Namespace, driver: Driver) -> None:
        self._namespace = namespace
        self._driver = driver

    @property
    def name(self) -> str:
        return self._driver.name

    @property
    def offers(self) -> Mapping[str, Offer]:
        return self._driver.offers

    def place(self, service: Service) -> str:
        return self._driver.place(service)

    def observe(self) -> Observation:
        return self._namespace.run(self._driver.observe)

    def connections(self) -> Mapping[Target, int]:
        return self._namespace.run(self._driver.connections)

    def apply(self, change: Change) -> None:
        self._namespace.run(self._driver.apply, change)

    def remove_all(self) -> None:
        self._namespace.run(self._driver.remove_all)

    def render(self, ruleset: Ruleset) -> str:
        return self._driver.render(ruleset)


def host_drivers(native: NftablesDriver, default: str) -> HostDrivers:
    """Put all drivers together as `netshare.wiring` does, whatever the environment says."""
    if default == IPTABLES:
        require(legacy_iptables())
    return HostDrivers({NFTABLES: native, IPTABLES: IptablesDriver()}, default, lambda: offers(native))


@contextmanager
def driver_inside(namespace: Namespace, name: str) -> Iterator[Driver]:
    """Have a driver for a namespace."""
    if name == IPTABLES:
        require(legacy_iptables())
        yield InNamespace(namespace, IptablesDriver())
        return
    driver = NftablesDriver()
    namespace.run(driver.generation)  # its socket is the namespace's from now on
    yield driver
    driver.close()

"""A driver that works in a lab's namespace, whichever thread calls it."""

from collections.abc import Iterator
from contextlib import contextmanager

from netshare.core.diff import Change
from netshare.core.model import Strategy
from netshare.core.ruleset import Ruleset
from netshare.lab.namespace import Namespace
from netshare.netfilter.driver import Driver, Observation
from netshare.netfilter.iptables.driver import IptablesDriver
from netshare.netfilter.nftables.driver import NftablesDriver
from tests.prerequisites import legacy_iptables, require

DRIVERS = ("nftables", "iptables")


class InNamespace:
    """A driver that works in a network namespace, from whichever thread it is called."""

    def __init__(self, namespace: Namespace, driver: Driver) -> None:
        self._namespace = namespace
        self._driver = driver

    @property
    def name(self) -> str:
        return self._driver.name

    @property
    def strategies(self) -> frozenset[Strategy]:
        return self._driver.strategies

    def observe(self) -> Observation:
        return self._namespace.run(self._driver.observe)

    def apply(self, change: Change) -> None:
        self._namespace.run(self._driver.apply, change)

    def remove_all(self) -> None:
        self._namespace.run(self._driver.remove_all)

    def render(self, ruleset: Ruleset) -> str:
        return self._driver.render(ruleset)


@contextmanager
def driver_inside(namespace: Namespace, name: str) -> Iterator[Driver]:
    """Have a driver for a namespace."""
    if name == "iptables":
        require(legacy_iptables())
        yield InNamespace(namespace, IptablesDriver())
        return
    driver = NftablesDriver()
    namespace.run(driver.generation)  # its socket is the namespace's from now on
    yield driver
    driver.close()

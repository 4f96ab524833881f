"""A driver that remembers what it committed, for the agent: reading a large ruleset back takes longer than changing it.

It trusts its memory only while the kernel's own count of commits says that nobody else has committed anything; any
doubt is settled by reading again.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from netshare.core.diff import Change
from netshare.core.model import Service
from netshare.core.ruleset import Ruleset, Target
from netshare.netfilter.driver import Driver, Observation, Offer


class CountedDriver(Driver, Protocol):
    """A driver whose kernel counts commits."""

    def generation(self) -> int:
        """Return a number that every commit raises by one, by whomever it is."""


class RememberingDriver:
    """Wraps a driver; what it answers from memory has no connection counts."""

    def __init__(self, driver: CountedDriver) -> None:
        """Start knowing nothing."""
        self._driver = driver
        self._memory: Observation | None = None
        self._generation = 0

    @property
    def name(self) -> str:
        """The wrapped driver's name."""
        return self._driver.name

    @property
    def offers(self) -> Mapping[str, Offer]:
        """What the wrapped driver can do."""
        return self._driver.offers

    def place(self, service: Service) -> str:
        """Ask the wrapped driver."""
        return self._driver.place(service)

    def observe(self) -> Observation:
        """Answer from memory where nothing has been committed since, else read and remember."""
        generation = self._driver.generation()
        if self._memory is not None and generation == self._generation:
            return self._memory
        self._memory = None
        observation = self._driver.observe()
        if self._driver.generation() == generation:
            self._memory = replace(observation, connections=MappingProxyType({}))
            self._generation = generation
        return observation

    def connections(self) -> Mapping[Target, int]:
        """Read the counts: they are never remembered."""
        return self._driver.connections()

    def apply(self, change: Change) -> None:
        """Commit, and remember the outcome if no other commit can have come between."""
        if change.is_empty:
            return
        known, self._memory = self._memory, None
        self._driver.apply(change)
        if known is not None and self._driver.generation() == self._generation + 1:
            self._memory = Observation(change.after, intact=True)
            self._generation += 1

    def remove_all(self) -> None:
        """Remove everything, and forget."""
        self._memory = None
        self._driver.remove_all()

    def render(self, ruleset: Ruleset) -> str:
        """Write a ruleset in the words of the kernel's tool."""
        return self._driver.render(ruleset)

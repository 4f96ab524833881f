"""This machine as a reconcile sees it: everything that differs between hosts, by what is asked of it.

The adapters that keep these promises are below, and `wiring` puts them together; fakes keep them in the tests.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from netshare.core.draining import Drain
from netshare.core.event import Stage
from netshare.core.flows import Expectation, Flow
from netshare.core.health import Verdicts
from netshare.core.links import Link
from netshare.core.obstacle import Obstacle
from netshare.engine.protocol import Lister
from netshare.netfilter.driver import Driver
from netshare.netfilter.rivals import Sockets
from netshare.store.protocol import RolloutRecords, Store


class Forwarding(Protocol):
    """Ways past the other firewalls of this host."""

    def ensure(self, *, needed: bool) -> Sequence[Obstacle]:
        """Put what is needed in place, or, where nothing is, take it away again; cheap when nothing changed.

        Gives what stays in the way.
        """

    def obstacles(self) -> Sequence[Obstacle]:
        """Look for what stands in the way, and change nothing."""

    def neighbours(self) -> Sequence[str]:
        """Name the firewalls and engines' backends that are here; change nothing."""

    def missing(self) -> Sequence[str]:
        """Name the places where a rule of netshare's should stand and does not; change nothing."""


class Links(Protocol):
    """The subnets this host is directly on, and what its bridges need besides rules."""

    def list(self) -> Sequence[Link]:
        """List them."""

    def serve(self, used: Iterable[Link]) -> None:
        """Set what these need, and take back what was set for others; cheap when nothing changed."""


class Flows(Protocol):
    """The flows that the kernel tracks."""

    def end(self, expected: Expectation) -> Sequence[Flow]:
        """Look at the flows once, end those that must, and tell which those were.

        Raises:
            NetfilterError, NotPermittedError: the kernel refused; some may be left.

        """


class Drains(Protocol):
    """The drains there are, kept where a restart of the agent does not end them."""

    def now(self) -> float:
        """Tell the time that they are in: seconds since the machine was started."""

    def load(self) -> Sequence[Drain]:
        """Read them.

        Raises:
            DefinitionError: what is there can't be used.

        """

    def save(self, drains: Sequence[Drain]) -> None:
        """Write these in place of all others.

        Raises:
            NetshareError: it can't be done; what was there is there still.

        """


class Wellness(Protocol):
    """What probes have told of replicas."""

    def verdicts(self) -> Verdicts:
        """Give what is known just now."""


class Names(Protocol):
    """The names that shells complete."""

    def post(self, names: Mapping[str, Sequence[str]], kept: Collection[str]) -> None:
        """Put up the replicas of each service; of services that are ``kept``, by owner, those of last time stay."""


Lap = Callable[[Stage], None]
"""Told of each stage when it is over."""


def _unmeasured(_stage: Stage) -> None:
    """Let it pass."""


@dataclass(frozen=True, slots=True)
class Host:
    """This machine, by its adapters."""

    store: Store
    engines: Mapping[str, Lister]
    driver: Driver
    forwarding: Forwarding
    links: Links
    flows: Flows
    sockets: Sockets
    health: Wellness
    drains: Drains
    rollouts: RolloutRecords
    names: Names
    lock: Callable[[], AbstractContextManager[None]]
    lap: Lap = _unmeasured

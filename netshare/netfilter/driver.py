"""What netshare asks of whatever programs the kernel."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from netshare.core.diff import Change
from netshare.core.model import Service, Strategy
from netshare.core.ruleset import Ruleset, Target
from netshare.errors import NetfilterError


@dataclass(frozen=True, slots=True)
class Observation:
    """What the kernel holds of netshare's.

    ``intact`` is false where the fixed part (hooks, rules) is missing or was altered by another hand: then only a
    rebuild helps. ``connections`` are the new connections each target has been given since it came. ``newer`` is the
    schema of what a newer netshare has made: it is not intact, and ``ruleset`` is what could be understood of it.
    """

    ruleset: Ruleset = field(default_factory=Ruleset)
    intact: bool = False
    connections: Mapping[Target, int] = field(default_factory=lambda: MappingProxyType({}))
    newer: int | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is anything that serves somebody, or may."""
        return self.ruleset != Ruleset() or self.newer is not None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a driver can do on this host.

    A ruleset with another strategy is refused as a whole. ``limits`` say what it can't promise anywhere, ``missing``
    what it lacks here altogether, ``caution`` what one should know who uses it here.
    """

    strategies: Set[Strategy]
    limits: tuple[str, ...] = ()
    missing: NetfilterError | None = None
    caution: str | None = None


class Driver(Protocol):
    """A way to program the kernel: nftables, or iptables."""

    @property
    def name(self) -> str:
        """``nftables`` or ``iptables``; of several, the one that programs what says nothing else."""

    @property
    def offers(self) -> Mapping[str, "Offer"]:
        """What can be programmed here, by the name of the driver that does it: itself, or those it is made of."""

    def place(self, service: Service) -> str:
        """Name the driver that is to program a service."""

    def observe(self) -> Observation:
        """Read back what is programmed.

        Raises:
            NotPermittedError: needs CAP_NET_ADMIN in this network namespace.
            NetfilterError: the kernel answered something else.

        """

    def connections(self) -> Mapping[Target, int]:
        """Read back the counts of new connections alone: what `observe` tells of them, at a fraction of its price.

        Raises:
            NotPermittedError, NetfilterError: as for `observe`.

        """

    def apply(self, change: Change) -> None:
        """Commit a change as a whole; an empty one does not touch the kernel.

        nftables commits all of it in one transaction. iptables commits table by table, in an order in which each is
        ready for the next, and takes back what it has done where one is refused.

        Raises:
            NotPermittedError: needs CAP_NET_ADMIN in this network namespace.
            NetfilterError: the kernel refused, named by the object it refused; nothing was applied.

        """

    def remove_all(self) -> None:
        """Remove everything of netshare's; nothing of anyone else's. Nothing there is not an error."""

    def render(self, ruleset: Ruleset) -> str:
        """Describe a ruleset in the words of this kernel's own tool, as that tool would load it."""

"""The desired kernel state as plain data, the same for every driver.

A driver turns a `Ruleset` into its kernel's own objects and reads it back from there; nothing here knows how.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from netshare.core.links import IPNetwork
from netshare.core.model import NFTABLES, Endpoint, Family, IPAddress, Protocol, Strategy


@dataclass(frozen=True, slots=True)
class Match:
    """What a new connection's destination is compared with; ``address`` ``None`` is every local address."""

    family: Family
    protocol: Protocol
    port: int
    address: IPAddress | None = None

    def __str__(self) -> str:
        """``ip tcp 80``, ``ip6 udp [fd00::1]:53``."""
        where = str(self.port) if self.address is None else str(Endpoint(self.address, self.port))
        return f"{self.family} {self.protocol} {where}"


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Where such a connection goes: to one of the slots, or, where there is none, back with a refusal.

    A refusal has no ``strategy``. ``driver`` is the one that programs it; a driver itself does not look at that.
    """

    service: str
    strategy: Strategy | None = None
    slots: tuple[Endpoint, ...] = ()
    driver: str = NFTABLES

    def __str__(self) -> str:
        """``web: random 172.18.0.2:8080, 172.18.0.3:8080`` or ``web: refuse``."""
        where = "refuse" if self.strategy is None else f"{self.strategy} {', '.join(map(str, self.slots))}"
        return f"{self.service}: {where}"


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint and protocol whose new connections are counted for as long as it stays in the ruleset."""

    protocol: Protocol
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All that netshare wants of the kernel.

    ``targets`` outlive their slots: a draining replica keeps its count until it is gone. ``hairpins`` are subnets
    with endpoints in them: a client of the same subnet is answered past this host unless it takes the host for the
    client, so between two members the source is rewritten.
    """

    dispatches: Mapping[Match, Dispatch] = field(default_factory=lambda: MappingProxyType({}))
    targets: frozenset[Target] = frozenset()
    hairpins: frozenset[IPNetwork] = frozenset()

"""What the demo did and measured, step by step, and what of it is not as promised.

The lab is named for the type checker only: whoever shows the steps need not load it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from netshare.core.model import Endpoint, Listener
from netshare.operations.request import AttachRequest

if TYPE_CHECKING:
    from netshare.lab.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Place:
    """A replica of the lab, by its name and endpoint."""

    name: str
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Built:
    """The lab is there; ``host`` is where the client connects to, ``bridge`` the host's address among the replicas."""

    seconds: float
    client: IPv4Address
    host: Endpoint
    bridge: IPv4Address
    replicas: tuple[Place, ...]

    def problems(self) -> Iterator[str]:
        """Nothing can be wrong with it."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Served:
    """The replicas are attached; ``ready`` counts those that the kernel now sends new connections to."""

    request: AttachRequest
    seconds: float
    listeners: tuple[Listener, ...]
    ready: int

    def problems(self) -> Iterator[str]:
        """Every endpoint of the request must be ready."""
        if self.ready != len(self.request.endpoints):
            yield f"{self.ready} of {len(self.request.endpoints)} replicas were ready after attach"


@dataclass(frozen=True, slots=True)
class Spread:
    """Requests were sent, each on a connection of its own."""

    host: Endpoint
    client: IPv4Address
    replicas: tuple[Place, ...]
    traffic: "Traffic"

    @property
    def kept_address(self) -> bool:
        """Whether every replica that answered saw the client itself, and nothing in between."""
        return self.traffic.clients <= {self.client}

    def problems(self) -> Iterator[str]:
        """All must be answered, by every replica, and each must see the client itself."""
        yield from _failed(self.traffic)
        yield from (f"{r.name} was given no request" for r in self.replicas if not self.traffic.answers.get(r.name))
        if not self.kept_address:
            yield f"the replicas saw {', '.join(map(str, sorted(self.traffic.clients)))} and not the client"


@dataclass(frozen=True, slots=True)
class Share:
    """The new connections a replica was given while all were there, then without one of them, then with another."""

    replica: Place
    before: int
    without: int
    after: int


@dataclass(frozen=True, slots=True)
class Replaced:
    """Under load one replica left and another came.

    ``drained`` is the time from the beginning of the attach without it to the end of its last connection; from there on
    ``without`` counts.
    """

    left: Place
    came: Place
    drained: float
    shares: tuple[Share, ...]
    traffic: "Traffic"

    @property
    def rate(self) -> float:
        """The requests a second there were."""
        return self.traffic.requests / self.traffic.seconds if self.traffic.seconds else 0.0

    @property
    def late(self) -> int:
        """The connections that the replica that left was given all the same."""
        gone = self.share(self.left)
        return gone.without + gone.after

    @property
    def since_came(self) -> int:
        """All connections since the other replica was attached."""
        return sum(share.after for share in self.shares)

    @property
    def since_left(self) -> int:
        """All connections since the one had drained."""
        return sum(share.without for share in self.shares) + self.since_came

    def share(self, place: Place) -> Share:
        """Find a replica's share."""
        return next(share for share in self.shares if share.replica == place)

    def problems(self) -> Iterator[str]:
        """No request may fail, the one that left must get nothing more, the one that came must get something."""
        yield from _failed(self.traffic)
        if not self.share(self.left).before:
            yield f"{self.left.name} was given no connection before it left"
        if self.late:
            yield f"{self.left.name} was given {self.late} new connections after it had left"
        if not self.share(self.came).after:
            yield f"{self.came.name} was given no connection after it came"


@dataclass(frozen=True, slots=True)
class Held:
    """What netshare holds in the kernel, as ``netshare rules`` prints it."""

    rules: str

    def problems(self) -> Iterator[str]:
        """It must be something."""
        if not self.rules:
            yield "netshare holds nothing in the kernel"


@dataclass(frozen=True, slots=True)
class Alone:
    """netshare has left the host, where ``threads`` of it remain; requests were sent all the same."""

    threads: int
    traffic: "Traffic"

    def problems(self) -> Iterator[str]:
        """Nothing may be left, and no request may fail."""
        if self.threads:
            yield f"{self.threads} threads of netshare were left in the host"
        yield from _failed(self.traffic)


@dataclass(frozen=True, slots=True)
class Removed:
    """The lab is gone, ``networks`` of its namespaces still have a thread; ``seconds`` is how long everything took."""

    seconds: float
    networks: int

    def problems(self) -> Iterator[str]:
        """Nothing may be left."""
        if self.networks:
            yield f"{self.networks} network namespaces of the lab were left"


Step = Built | Served | Spread | Replaced | Held | Alone | Removed


def _failed(traffic: "Traffic") -> Iterator[str]:
    if traffic.failures:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(traffic.failures_by_kind.items()))
        yield f"{len(traffic.failures)} of {traffic.requests} requests failed ({kinds})"

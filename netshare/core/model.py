"""The words of netshare as data: services, listeners, containers, replicas, endpoints.

Nothing here reads or writes anything. Values arriving from outside are checked where they enter
(`netshare.core.parse`, `netshare.store`, `netshare.engine`), so what is built from these classes is sound.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType

IPAddress = IPv4Address | IPv6Address

AUTO, NFTABLES, IPTABLES = "auto", "nftables", "iptables"
"""What a service's driver can be; ``auto`` is the one that the host uses by default."""

DRAIN = 30.0
"""How long, in seconds, connections may go on where nothing else was said."""
BY_LABELS = " (labels)"
"""What follows a service's name in the kernel if labels made it. No name has a space."""


class Protocol(StrEnum):
    """A transport protocol whose ports can be shared."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


class Family(StrEnum):
    """An address family, by nftables' own names."""

    IP = "ip"
    IP6 = "ip6"

    @classmethod
    def of(cls, address: IPAddress) -> "Family":
        """The family of an address."""
        return cls.IP if address.version == 4 else cls.IP6  # noqa: PLR2004 (the number is the name)


class Strategy(StrEnum):
    """How new connections are spread over a service's slots."""

    RANDOM = "random"
    ROUND_ROBIN = "round-robin"
    SOURCE_HASH = "source-hash"


class CheckKind(StrEnum):
    """Who finds out whether a replica is well: nobody, its engine (HEALTHCHECK), or netshare by probing it."""

    NONE = "none"
    ENGINE = "engine"
    TCP = "tcp"
    HTTP = "http"


class FailMode(StrEnum):
    """Who is given new connections where no replica is well: all of them, or nobody."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How it is found out whether a replica is well.

    A probe goes to ``port``, or, where there is none, to the endpoint's own. ``path`` and ``host``, the Host header
    (``None``: the service's name), are for HTTP. ``interval`` and ``timeout`` are seconds. ``fall`` failures in a row
    make a replica unhealthy, ``rise`` successes in a row make it healthy again.
    """

    kind: CheckKind = CheckKind.ENGINE
    port: int | None = None
    path: str = ""
    host: str | None = None
    interval: float = 2.0
    timeout: float = 1.0
    rise: int = 2
    fall: int = 3

    @property
    def is_probed(self) -> bool:
        """Whether netshare itself has to look."""
        return self.kind in (CheckKind.TCP, CheckKind.HTTP)

    def __str__(self) -> str:
        """``engine``, ``tcp:8081``, ``http:/up``, ``http:8081/up``: without how often and how patiently."""
        if not self.is_probed:
            return self.kind.value
        port = "" if self.port is None else str(self.port)
        separator = ":" if port or self.path else ""
        return f"{self.kind}{separator}{port}{self.path}"


class ReplicaState(StrEnum):
    """What may become of a replica; only a ready one is given new connections."""

    STARTING = "starting"
    READY = "ready"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Listener:
    """A host address (``None``: every local one), protocol and port that clients connect to.

    ``to`` is the replicas' own port; ``None`` means the one port they expose, else the listener's.
    """

    port: int
    protocol: Protocol = Protocol.TCP
    address: IPAddress | None = None
    to: int | None = None

    def overlaps(self, other: "Listener") -> bool:
        """Whether some packet could belong to both.

        An address overlaps only itself: a listener on one address beside one on every address is allowed, and the
        more specific one wins, as with sockets bound under SO_REUSEADDR.
        """
        return (self.port, self.protocol, self.address) == (other.port, other.protocol, other.address)

    def __str__(self) -> str:
        """``80/tcp``, ``10.0.0.1:80/tcp``, ``[fd00::1]:53/udp``."""
        if self.address is None:
            return f"{self.port}/{self.protocol}"
        return f"{Endpoint(self.address, self.port)}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A replica's address and port."""

    address: IPAddress
    port: int

    @property
    def family(self) -> Family:
        """The address's family."""
        return Family.of(self.address)

    def __str__(self) -> str:
        """``172.18.0.3:8080`` or ``[fd00::2]:8080``."""
        host = str(self.address) if self.address.version == 4 else f"[{self.address}]"  # noqa: PLR2004
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class StaticEndpoint:
    """A replica given by its address: a virtual machine, an LXC guest, a process. No engine watches it."""

    address: IPAddress
    port: int | None = None

    def __str__(self) -> str:
        """The address, and the port where one was given."""
        return str(self.address) if self.port is None else str(Endpoint(self.address, self.port))


class Source(StrEnum):
    """What made a service: ``attach``, or its containers' labels alone."""

    ATTACH = "attach"
    LABELS = "labels"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Service:
    """A name, its listeners, how its replicas are found and how connections are spread over them.

    ``weights`` are those given by hand, by the name of a replica; they go before its own label. ``drain``, where
    given by hand, goes before the label too.
    """

    name: str
    listeners: tuple[Listener, ...]
    strategy: Strategy = Strategy.RANDOM
    select: tuple[tuple[str, str], ...] = ()
    network: str | None = None
    engine: str | None = None
    endpoints: tuple[StaticEndpoint, ...] = ()
    driver: str = AUTO
    source: Source = Source.ATTACH
    weights: tuple[tuple[str, int], ...] = ()
    health: HealthCheck = HealthCheck()
    fail: FailMode = FailMode.OPEN
    drain: float | None = None

    @property
    def is_static(self) -> bool:
        """Whether its replicas are listed in the definition itself."""
        return bool(self.endpoints)

    def placed(self, default: str) -> str:
        """Name the driver that is to program it, on a host that uses ``default`` where nothing else is said."""
        return default if self.driver == AUTO else self.driver

    @property
    def owner(self) -> str:
        """What the kernel knows it by: what labels made has to be told from what `attach` did, with no memory."""
        return f"{self.name}{BY_LABELS}" if self.source is Source.LABELS else self.name


class ContainerStatus(StrEnum):
    """Where a container is in its life, by the engines' own words (Podman's are mapped to these)."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class Health(StrEnum):
    """What the engine's own HEALTHCHECK says."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Attachment:
    """One network a container is on.

    ``obstacle`` says in words why its addresses there cannot be reached by DNAT (macvlan, internal, …).
    """

    network: str
    addresses: tuple[IPAddress, ...] = ()
    obstacle: str | None = None


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A port that the engine itself forwards to one container (``-p``)."""

    port: int
    protocol: Protocol
    address: IPAddress | None = None


@dataclass(frozen=True, slots=True)
class Container:
    """A container as its engine describes it.

    ``obstacle`` says why the whole container can't be a replica (host network, …). ``leaving`` is set from the moment
    its stop signal was sent.
    """

    id: str
    name: str
    engine: str
    status: ContainerStatus = ContainerStatus.RUNNING
    health: Health = Health.NONE
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    attachments: tuple[Attachment, ...] = ()
    exposed: frozenset[tuple[int, Protocol]] = frozenset()
    published: tuple[PublishedPort, ...] = ()
    obstacle: str | None = None
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Replica:
    """One container or static endpoint of a service, and whether it may be given new connections.

    ``endpoints`` holds at most one endpoint a (listener, family); it is empty where none can be reached, and
    ``reason`` then says why. ``health`` is what its engine says where that counts. ``offered`` are the endpoints that
    its health leaves it; ``None``: whatever its state says. ``drain`` is for how many seconds its connections may go on
    when it leaves, infinite for as long as they like. ``is_held``: it would be ready, were it not for a rollout.
    """

    name: str
    id: str
    engine: str
    state: ReplicaState
    endpoints: Mapping[Listener, tuple[Endpoint, ...]]
    weight: int = 1
    reason: str | None = None
    health: Health = Health.NONE
    offered: Mapping[Listener, tuple[Endpoint, ...]] | None = None
    drain: float = DRAIN
    is_held: bool = False

    def offers(self, listener: Listener) -> tuple[Endpoint, ...]:
        """Give the endpoints that may be given a listener's new connections."""
        if self.state not in (ReplicaState.READY, ReplicaState.UNHEALTHY):
            return ()
        if self.offered is not None:
            return self.offered.get(listener, ())
        return self.endpoints.get(listener, ()) if self.state is ReplicaState.READY else ()

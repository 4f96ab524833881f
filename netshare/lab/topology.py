"""The lab itself: a host with bridges, clients outside it, replicas on the bridges."""

from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path
from types import TracebackType
from typing import Self

from netshare.core.model import Endpoint
from netshare.lab import links
from netshare.lab.links import IPInterface
from netshare.lab.namespace import Namespace
from netshare.lab.server import ReplicaServer

# One network of each, or more, have the third number of their address.
_BRIDGED = "172.30.{}.{}/24", "fd00:172:30:{}::{:x}/64"
_OUTSIDE = "198.18.{}.{}/24", "2001:db8:0:{}::{:x}/64"  # for benchmarks (RFC 2544), for documentation (RFC 3849)
_GATEWAY = 1
_CLIENT = 2
_FIRST_REPLICA = 10
_INSIDE_NAME = "eth0"


@dataclass(frozen=True, slots=True)
class Network:
    """A network of replicas: a bridge in the host, which has the first address in it."""

    bridge: str
    number: int
    address: IPv4Address
    address6: IPv6Address | None


@dataclass(frozen=True, slots=True)
class Client:
    """A client outside the host, one router hop away from it; ``link`` is the host's end of its cable.

    ``gateway`` and ``gateway6`` are the host's addresses on that cable: what the client connects to.
    """

    name: str
    namespace: Namespace
    link: str
    address: IPv4Address
    address6: IPv6Address | None
    gateway: IPv4Address
    gateway6: IPv6Address | None


@dataclass(frozen=True, slots=True)
class LabReplica:
    """A replica on a bridge, with its server; ``link`` is the host's end of its cable."""

    name: str
    namespace: Namespace
    link: str
    network: Network
    address: IPv4Address
    address6: IPv6Address | None
    server: ReplicaServer

    @property
    def endpoint(self) -> Endpoint:
        """Where its server is reached over IPv4."""
        return Endpoint(self.address, self.server.port)

    @property
    def endpoint6(self) -> Endpoint:
        """Where its server is reached over IPv6."""
        if self.address6 is None:
            raise LookupError("this lab has no IPv6")
        return Endpoint(self.address6, self.server.port)


class Lab:
    """A host, clients and replicas, each a network namespace, for as long as the ``with`` block lasts.

    ``ipv6`` is whether there is IPv6 beside IPv4; by default, whether this kernel has it.

    Raises:
        NotPermittedError: this process may not make network namespaces (see `netshare.lab.privileges`).

    """

    def __init__(self, *, clients: int = 1, replicas: int = 3, port: int = 8080, ipv6: bool | None = None) -> None:
        self.ipv6 = Path("/proc/sys/net/ipv6").is_dir() if ipv6 is None else ipv6
        self.networks: list[Network] = []
        self.clients: list[Client] = []
        self.replicas: dict[str, LabReplica] = {}
        self._port = port
        self._sizes = clients, replicas
        self._replicas_made = 0
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        """Build it."""
        clients, replicas = self._sizes
        try:
            self.host = self._namespace("host")
            self.host.run(links.forward_packets, ipv6=self.ipv6)
            self.add_network()
            for _ in range(clients):
                self.add_client()
            for _ in range(replicas):
                self.add_replica()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it: servers first, then the namespaces, the host's as the last."""
        self._cleanup.close()

    @property
    def network(self) -> Network:
        """The first network of replicas."""
        return self.networks[0]

    @property
    def client(self) -> Client:
        """The first client."""
        return self.clients[0]

    def at(self, port: int) -> Endpoint:
        """Where the first client reaches a port of the host, over IPv4."""
        return Endpoint(self.client.gateway, port)

    def at6(self, port: int) -> Endpoint:
        """Where the first client reaches a port of the host, over IPv6."""
        if self.client.gateway6 is None:
            raise LookupError("this lab has no IPv6")
        return Endpoint(self.client.gateway6, port)

    def add_network(self) -> Network:
        """Add a bridge to the host, with addresses of its own."""
        number = len(self.networks)
        gateways = self._addresses(_BRIDGED, number, _GATEWAY)
        network = Network(f"br{number}", number, *_pair(gateways))
        self.host.run(links.add_bridge, network.bridge, gateways)
        self.networks.append(network)
        return network

    def add_client(self) -> Client:
        """Add a client on a cable of its own to the host."""
        number = len(self.clients)
        name, link = f"client-{number + 1}", f"client{number + 1}"
        gateways = self._addresses(_OUTSIDE, number, _GATEWAY)
        addresses = self._addresses(_OUTSIDE, number, _CLIENT)
        namespace = self._namespace(name)
        self.host.run(links.add_cable, link, _INSIDE_NAME, namespace.path)
        self.host.run(links.bring_up, link, gateways)
        namespace.run(links.bring_up, _INSIDE_NAME, addresses)
        namespace.run(links.add_default_routes, [gateway.ip for gateway in gateways])
        client = Client(name, namespace, link, *_pair(addresses), *_pair(gateways))
        self.clients.append(client)
        return client

    def add_replica(self, name: str | None = None, *, network: Network | None = None) -> LabReplica:
        """Add a replica to a network (the first), with an address that none had before it, and start its server."""
        number = self._replicas_made
        self._replicas_made += 1
        name, link = name or f"replica-{number + 1}", f"replica{number + 1}"
        network = network or self.network
        addresses = self._addresses(_BRIDGED, network.number, _FIRST_REPLICA + number)
        ipv4, ipv6 = _pair(addresses)
        namespace = self._namespace(name)
        self.host.run(links.add_cable, link, _INSIDE_NAME, namespace.path)
        self.host.run(links.join_bridge, link, network.bridge)
        namespace.run(links.bring_up, _INSIDE_NAME, addresses)
        namespace.run(links.add_default_routes, [a for a in (network.address, network.address6) if a is not None])
        server = ReplicaServer(name, namespace, self._port, ipv6=self.ipv6)
        self._cleanup.callback(server.stop)
        replica = LabReplica(name, namespace, link, network, ipv4, ipv6, server)
        self.replicas[name] = replica
        return replica

    def remove_replica(self, name: str) -> None:
        """Stop a replica as an engine does: its server ends, then its link and its namespace vanish."""
        replica = self.replicas.pop(name)
        replica.server.stop()
        self.host.run(links.delete_link, replica.link)
        replica.namespace.close()

    def _namespace(self, name: str) -> Namespace:
        namespace = Namespace(name)
        self._cleanup.callback(namespace.close)
        namespace.run(links.prepare, ipv6=self.ipv6)
        return namespace

    def _addresses(self, form: tuple[str, str], network: int, host: int) -> list[IPInterface]:
        ipv4, ipv6 = form
        addresses: list[IPInterface] = [IPv4Interface(ipv4.format(network, host))]
        if self.ipv6:
            addresses.append(IPv6Interface(ipv6.format(network, host)))
        return addresses


def _pair(addresses: list[IPInterface]) -> tuple[IPv4Address, IPv6Address | None]:
    """Split an IPv4 address from the IPv6 address that may follow it."""
    ipv4 = next(a.ip for a in addresses if isinstance(a, IPv4Interface))
    ipv6 = next((a.ip for a in addresses if isinstance(a, IPv6Interface)), None)
    return ipv4, ipv6

"""A lab's host under netshare: what it listens to and whom it lists are fakes, the kernel and the packets are not."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from pyroute2 import IPRoute

from netshare.core.model import NFTABLES, Endpoint, Family, IPAddress, Listener, Protocol, Service, StaticEndpoint
from netshare.host import Host
from netshare.lab import links
from netshare.lab.server import ReplicaServer
from netshare.lab.topology import Lab, LabReplica
from netshare.lab.traffic import send
from netshare.netfilter import tracked
from netshare.netfilter.bridges import HostLinks
from netshare.netfilter.conntrack import BOTH_FAMILIES, GET
from netshare.netfilter.flows import TrackedFlows
from netshare.netfilter.netlink import SUBSYSTEM_CONNTRACK, Netlink
from netshare.netfilter.nftables.driver import NftablesDriver
from netshare.reconcile import Prepared, reconcile
from tests.fakes.engine import FakeEngine, container
from tests.fakes.host import fake_host
from tests.inside import host_drivers
from tests.netns.waiting import until

DNS = Listener(53, Protocol.UDP, to=8080)
WEB = Listener(80, Protocol.TCP, to=8080)


class Machine:
    """The lab's replicas are the engine's containers, as long as they are not killed.

    A service called ``replica`` has them all.
    """

    def __init__(self, lab: Lab, host: Host, engine: FakeEngine) -> None:
        self.lab = lab
        self.host = host
        self.engine = engine
        for each in lab.replicas.values():
            self.run(each)

    def run(self, one: LabReplica) -> None:
        """Let the engine tell of a replica."""
        self.engine.running.append(container(one.name, str(one.address), str(one.address6)))

    def start(self, name: str | None = None) -> LabReplica:
        """Add a replica that can be reached: a bridge forwards to a new port only some time after its link is up."""
        added = self.lab.add_replica(name)
        until(lambda: bool(send(self.lab.client.namespace, added.endpoint, 1, timeout=0.2).answers))
        self.run(added)
        return added

    def leave(self, one: LabReplica) -> None:
        """Do what an engine does when a container is sent its stop signal."""
        self.engine.running = [replace(c, leaving=c.leaving or c.name == one.name) for c in self.engine.running]

    def stop(self, one: LabReplica) -> None:
        """Do what becomes of a container whose process ends: it closes its connections, then its network is gone."""
        self.lab.remove_replica(one.name)
        self.engine.running = [c for c in self.engine.running if c.name != one.name]

    def vanish(self, one: LabReplica) -> None:
        """Take a replica away with no farewell to anybody: its link is dead before its server ends."""
        self.lab.host.run(_take_down, one.link)
        self.stop(one)

    def share(self, *listeners: Listener, name: str = "replica", to: Iterable[IPAddress] = ()) -> Prepared:
        """Define a service, static where it says what it goes to, and reconcile."""
        self.host.store.save(Service(name, listeners, endpoints=tuple(map(StaticEndpoint, to))))
        return self.reconcile()

    def unshare(self, name: str = "replica") -> Prepared:
        """Delete a service and reconcile."""
        self.host.store.delete(name)
        return self.reconcile()

    def reconcile(self, *, thorough: bool = False) -> Prepared:
        """Reconcile; nothing of it may have failed."""
        prepared = self.lab.host.run(reconcile, self.host, thorough=thorough)
        assert prepared.cleaned.problem is None
        return prepared

    def at(self, family: Family, port: int) -> Endpoint:
        """Where the client reaches the host."""
        return self.lab.at(port) if family is Family.IP else self.lab.at6(port)

    def gateway(self, family: Family) -> IPAddress:
        """Give the host's address among the replicas."""
        network = self.lab.network
        address = network.address if family is Family.IP else network.address6
        assert address is not None
        return address

    def tracked(self) -> dict[tuple[Endpoint, Endpoint, Endpoint], bytes]:
        """List the kernel's entries: client, listener and endpoint, and what makes this very entry."""
        return self.lab.host.run(_tracked)


def again(one: LabReplica, name: str) -> ReplicaServer:
    """Let another replica take a place: the same address, another process."""
    one.server.stop()
    return ReplicaServer(name, one.namespace, one.server.port, ipv6=one.address6 is not None)


def _take_down(link: str) -> None:
    with IPRoute() as netlink:
        (index,) = netlink.link_lookup(ifname=link)
        netlink.link("set", index=index, state="down")


def _tracked() -> dict[tuple[Endpoint, Endpoint, Endpoint], bytes]:
    with Netlink(SUBSYSTEM_CONNTRACK) as netlink:
        messages = netlink.dump(GET, BOTH_FAMILIES, about="the table")
    found = {}
    for message in messages:
        ends = tracked.ends(message)
        if ends is not None:
            client = tracked.endpoint(ends.client, ends.client_port)
            listener = tracked.endpoint(ends.listener, ends.listener_port)
            found[client, listener, tracked.endpoint(ends.endpoint, ends.endpoint_port)] = b"".join(
                tracked.identity(message)
            )
    return found


def unlimit_icmp(lab: Lab) -> None:
    """Have the host refuse every datagram: else a client is told of six ports, then of one a second (icmp(7)).

    All clients together are told of fifty at once; before Linux 6.12 that is for all namespaces, and stays as it is.
    """
    all_clients = [("ipv4/icmp_msgs_per_sec", 100_000), ("ipv4/icmp_msgs_burst", 10_000)]
    lab.host.run(links.write_sysctls, [("ipv4/icmp_ratelimit", 0), ("ipv6/icmp/ratelimit", 0)])
    with suppress(FileNotFoundError):
        lab.host.run(links.write_sysctls, all_clients)


@contextmanager
def machine(lab: Lab, directory: Path, driver: str = NFTABLES) -> Iterator[Machine]:
    """Put a lab's host under netshare, with one driver by default."""
    native, flows, fake = NftablesDriver(), TrackedFlows(), fake_host()
    drivers = host_drivers(native, driver)
    unlimit_icmp(lab)
    try:
        yield Machine(lab, replace(fake.host, driver=drivers, flows=flows, links=HostLinks(directory)), fake.engine)
    finally:
        native.close()
        flows.close()

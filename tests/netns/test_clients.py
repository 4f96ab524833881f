"""Every client and every protocol: who reaches a service from where, and as whom the replica sees them.

The whole way through `reconcile`, as `attach` goes it, with bridged packets passing through netfilter and without.
"""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from netshare import wiring
from netshare.core.model import (
    IPTABLES,
    NFTABLES,
    Endpoint,
    Family,
    IPAddress,
    Listener,
    Protocol,
    Service,
    StaticEndpoint,
)
from netshare.errors import NetshareError
from netshare.host import Host
from netshare.lab.namespace import Namespace
from netshare.lab.topology import Lab, LabReplica, Network
from netshare.lab.traffic import send
from netshare.netfilter.links import is_bridge, links
from netshare.netfilter.nftables.driver import NftablesDriver
from netshare.netfilter.switches import HairpinMode, RouteLocalnet
from netshare.operations.reset import reset
from netshare.reconcile import reconcile
from tests.inside import DRIVERS, host_drivers

pytestmark = pytest.mark.netns

PORT = 80
CLIENTS = ("outside", "host", "loopback", "sibling", "itself", "other bridge")
LOCALHOST: dict[Family, IPAddress] = {Family.IP: IPv4Address("127.0.0.1"), Family.IP6: IPv6Address("::1")}


class Scene:
    """A host with two bridges and one service, whose only replica is on the first."""

    def __init__(self, lab: Lab, host: Host) -> None:
        self.lab = lab
        self.host = host
        self.elsewhere: Network = lab.add_network()
        self.neighbour: LabReplica = lab.add_replica(network=self.elsewhere)
        self.replica, self.sibling = (lab.replicas[name] for name in ("replica-1", "replica-2"))

    def share(self, *listeners: Listener, replica: LabReplica | None = None) -> None:
        served = replica or self.replica
        endpoints = [StaticEndpoint(each.address, each.port) for each in (served.endpoint, served.endpoint6)]
        self.host.store.save(Service("web", listeners, endpoints=tuple(endpoints)))
        self.lab.host.run(reconcile, self.host)

    def client(self, name: str, family: Family) -> tuple[Namespace, IPAddress]:
        """Give a client's namespace, and the host's address as that client has it."""
        outside = self.lab.at(PORT) if family is Family.IP else self.lab.at6(PORT)
        gateway = self.gateway(self.lab.network, family)
        found: dict[str, tuple[Namespace, IPAddress]] = {
            "outside": (self.lab.client.namespace, outside.address),
            "host": (self.lab.host, outside.address),
            "loopback": (self.lab.host, LOCALHOST[family]),
            "sibling": (self.sibling.namespace, gateway),
            "itself": (self.replica.namespace, gateway),
            "other bridge": (self.neighbour.namespace, self.gateway(self.elsewhere, family)),
        }
        return found[name]

    def seen_as(self, name: str, family: Family) -> IPAddress:
        """Give the address that the replica should see: the client's own, wherever the answer finds its way back."""
        client = self.lab.client
        gateway = self.gateway(self.lab.network, family)
        neighbour = self.neighbour.endpoint if family is Family.IP else self.neighbour.endpoint6
        outside = self.lab.at(PORT) if family is Family.IP else self.lab.at6(PORT)
        return {
            "outside": _address(family, client.address, client.address6),
            "host": outside.address,
            "loopback": gateway,
            "sibling": gateway,
            "itself": gateway,
            "other bridge": neighbour.address,
        }[name]

    @staticmethod
    def gateway(network: Network, family: Family) -> IPAddress:
        return _address(family, network.address, network.address6)


@pytest.fixture(
    params=[(driver, filtered) for driver in DRIVERS for filtered in (False, True)],
    ids=lambda each: f"{each[0]}, bridged packets {'are filtered' if each[1] else 'pass by'}",
    scope="module",
)
def scene(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    privileges: None,  # noqa: ARG001 (wanted for what it does)
) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("netshare")
    with Lab() as lab:
        driver, filtered = request.param
        lab.host.run(filter_bridged_packets, on=filtered)
        native = NftablesDriver()
        host = replace(wiring.host(directory / "state", directory / "run"), driver=host_drivers(native, driver))
        scene = Scene(lab, host)
        scene.share(Listener(PORT), Listener(PORT, Protocol.UDP))
        yield scene
        native.close()


def filter_bridged_packets(*, on: bool) -> None:
    for tool in ("iptables", "ip6tables"):
        Path(f"/proc/sys/net/bridge/bridge-nf-call-{tool}").write_text(str(int(on)), encoding="ascii")


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.UDP])
@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_is_served(scene: Scene, client: str, protocol: Protocol, family: Family) -> None:
    namespace, address = scene.client(client, family)
    traffic = send(namespace, Endpoint(address, PORT), 10, concurrency=2, protocol=protocol)
    if address == LOCALHOST[Family.IP6]:
        # It can't be routed: refused, and at once, so that a client with both goes on to 127.0.0.1.
        assert traffic.failures_by_kind == {"refused": 10}
        assert traffic.seconds < 1
        return
    assert traffic.failures == ()
    assert traffic.answers == {scene.replica.name: 10}
    assert traffic.clients == {scene.seen_as(client, family)}


def test_curl_localhost_works(scene: Scene) -> None:
    """What ``curl localhost`` does: ::1 first, and 127.0.0.1 when that is refused."""

    def ask() -> str:
        for address in LOCALHOST[Family.IP6], LOCALHOST[Family.IP]:
            try:
                with socket.create_connection((str(address), PORT), timeout=2) as connection:
                    return str(json.loads(connection.makefile().readline())["replica"])
            except ConnectionRefusedError:
                continue
        pytest.fail("refused by both")

    assert scene.lab.host.run(ask) == scene.replica.name


class TestGuard:
    """What listens on the host's 127.0.0.1 alone stays the host's own, although bridges may route to it."""

    PORT = 9090

    @pytest.fixture
    def private(self, scene: Scene) -> Iterator[None]:
        with socket_on_loopback(scene.lab.host, self.PORT):
            yield

    @pytest.mark.usefixtures("private")
    def test_a_container_does_not_reach_it(self, scene: Scene) -> None:
        namespace = scene.sibling.namespace
        namespace.run(route_loopback, str(scene.lab.network.address))
        assert scene.lab.host.run(RouteLocalnet(scene.lab.network.bridge).state)
        assert not namespace.run(reaches, "127.0.0.1", self.PORT)

        scene.lab.host.run(remove_guard, scene.host.driver.name)
        assert namespace.run(reaches, "127.0.0.1", self.PORT), "without the guard it would: the test is of something"

        scene.lab.host.run(reconcile, scene.host)
        assert not namespace.run(reaches, "127.0.0.1", self.PORT), "a guard that was removed comes back"

    @pytest.mark.usefixtures("private")
    def test_nobody_outside_reaches_it(self, scene: Scene) -> None:
        namespace = scene.lab.client.namespace
        namespace.run(route_loopback, str(scene.lab.client.gateway))
        assert not namespace.run(reaches, "127.0.0.1", self.PORT)
        link = scene.lab.client.link
        assert not scene.lab.host.run(RouteLocalnet(link).state), "only bridges in use may route to it"

    @pytest.mark.usefixtures("private")
    def test_the_host_itself_does(self, scene: Scene) -> None:
        assert scene.lab.host.run(reaches, "127.0.0.1", self.PORT)


class TestSwitches:
    """What bridges in use need is on; what no service needs is as it was."""

    def test_it_follows_the_services(self, scene: Scene, request: pytest.FixtureRequest) -> None:
        _, filtered = request.node.callspec.params["scene"]
        first, second = scene.lab.network.bridge, scene.elsewhere.bridge
        ports = [HairpinMode(replica.link) for replica in (scene.replica, scene.sibling)]
        state = scene.lab.host.run
        assert [state(RouteLocalnet(bridge).state) for bridge in (first, second)] == [True, False]
        assert [state(port.state) for port in ports] == [filtered, filtered]

        scene.share(Listener(PORT), replica=scene.neighbour)
        assert [state(RouteLocalnet(bridge).state) for bridge in (first, second)] == [False, True]
        assert [state(port.state) for port in ports] == [False, False]

        state(reset, scene.host, NoAgent())
        assert [state(RouteLocalnet(bridge).state) for bridge in (first, second)] == [False, False]
        scene.share(Listener(PORT), Listener(PORT, Protocol.UDP))

    def test_what_was_on_before_stays_on(self, scene: Scene) -> None:
        state = scene.lab.host.run
        switch = RouteLocalnet(scene.elsewhere.bridge)
        state(switch.turn, on=True)
        scene.share(Listener(PORT), replica=scene.neighbour)
        scene.share(Listener(PORT), Listener(PORT, Protocol.UDP))
        assert state(switch.state), "somebody else's setting is not netshare's to undo"
        state(switch.turn, on=False)


def test_links_are_read_as_the_kernel_has_them(scene: Scene) -> None:
    found = {(link.interface, str(link.network)) for link in scene.lab.host.run(links)}
    network, client = scene.lab.network, scene.lab.client
    assert {(network.bridge, "172.30.0.0/24"), (network.bridge, "fd00:172:30::/64")} <= found
    assert {name for name, _ in found} == {network.bridge, scene.elsewhere.bridge, client.link}
    assert scene.lab.host.run(is_bridge, network.bridge)
    assert not scene.lab.host.run(is_bridge, client.link)
    assert not scene.lab.host.run(is_bridge, "nothing")


def _address(family: Family, address: IPAddress, address6: IPAddress | None) -> IPAddress:
    chosen = address if family is Family.IP else address6
    assert chosen is not None, "the lab has IPv6 here"
    return chosen


class NoAgent:
    """No agent runs."""

    def pid(self) -> int | None:
        return None

    def other_version(self) -> str | None:
        return None

    def sync(self) -> None:
        raise NetshareError("there is none")


@contextmanager
def socket_on_loopback(host: Namespace, port: int) -> Iterator[None]:
    """Listen as a database does that only its own host should reach: on 127.0.0.1."""
    with host.run(socket.create_server, ("127.0.0.1", port)):
        yield


def route_loopback(gateway: str) -> None:
    """Do what a hostile container with CAP_NET_ADMIN does: send packets for 127.0.0.1 to the host."""
    with IPRoute() as routes:
        (index,) = routes.link_lookup(ifname="lo")
        routes.addr("del", index=index, address="127.0.0.1", prefixlen=8)
        routes.route("add", dst="127.0.0.1/32", gateway=gateway)
    Path("/proc/sys/net/ipv4/conf/all/route_localnet").write_text("1", encoding="ascii")


def reaches(address: str, port: int) -> bool:
    try:
        with socket.create_connection((str(ip_address(address)), port), timeout=0.5) as connection:
            return bool(connection.getpeername()[1] == port)
    except OSError:
        return False


def remove_guard(driver: str) -> None:
    """Take the guard away by hand, with the kernel's own tool."""
    by_hand = {
        NFTABLES: ["nft", "flush", "chain", "inet", "netshare", "guard"],
        IPTABLES: ["iptables-legacy", "-w", "-t", "raw", "-F", "NETSHARE-GUARD"],
    }
    subprocess.run(by_hand[driver], check=True)

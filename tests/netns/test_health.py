"""Health with real packets: what a probe makes of every kind of answer, and what the kernel makes of the verdicts."""

import asyncio
import socket
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from netshare.core.checks import health_check
from netshare.core.health import Probe, Standing
from netshare.core.model import (
    Endpoint,
    FailMode,
    IPAddress,
    Listener,
    Protocol,
    ReplicaState,
    Service,
    StaticEndpoint,
)
from netshare.health.board import HealthBoard
from netshare.health.known import KnownHealth
from netshare.health.probing import probe
from netshare.lab.conversation import FailureKind
from netshare.lab.topology import Lab
from netshare.lab.traffic import Load, send
from netshare.netfilter.unanswered import UnansweredConnections
from netshare.operations.status import status as look_up
from tests.fakes.host import FakeAgent, FakeConnections
from tests.netns.machine import WEB, Machine, machine
from tests.netns.waiting import until
from tests.netns.wards import Behaviour, Keeper, Ward, answer, cut, drip, flood, hang, keeper, status

pytestmark = pytest.mark.netns

PORT = 9000
FAST = "interval=200ms timeout=100ms"


@pytest.fixture
def host(lab: Lab, tmp_path: Path) -> Iterator[Machine]:
    with machine(lab, tmp_path) as built:
        yield built


@pytest.fixture
def agent(host: Machine, tmp_path: Path) -> Iterator[Keeper]:
    with keeper(host, tmp_path) as running:
        yield running


@pytest.fixture
def wards(lab: Lab) -> Iterator[dict[str, Ward]]:
    """A server beside each replica's own, which says that all is well."""
    found = {name: Ward(replica.namespace, PORT, status("200 OK")) for name, replica in lab.replicas.items()}
    yield found
    for ward in found.values():
        ward.stop()


def service(host: Machine, check: str, *listeners: Listener, fail: FailMode = FailMode.OPEN) -> Service:
    """Make a service of all the lab's replicas, by their IPv4 addresses."""
    endpoints = tuple(StaticEndpoint(replica.address) for replica in host.lab.replicas.values())
    return Service("web", listeners or (WEB,), endpoints=endpoints, health=health_check(check), fail=fail)


def serve(agent: Keeper, wanted: Service) -> None:
    """Define a service, and wait until every endpoint has been judged and the kernel has those that are well."""
    agent.define(wanted)
    until(
        lambda: len(agent.standings()) == len(wanted.endpoints) and Standing.UNKNOWN not in agent.standings().values()
    )
    well = {probed.address for probed, standing in agent.standings().items() if standing is Standing.HEALTHY}
    (listener,) = wanted.listeners
    until(lambda: {each.address for each in agent.served(listener)} == well)


def ask(lab: Lab, to: Endpoint, check: str) -> str | None:
    wanted = Probe("shop/web", "one", to, health_check(check))

    async def once() -> str | None:
        return await probe(wanted)

    return lab.host.run(asyncio.run, once())


class TestProbe:
    @pytest.mark.parametrize(
        ("behaviour", "failure"),
        [
            (status("200 OK"), None),
            (status("204 No Content"), None),
            (status("302 Found"), None),
            (answer(b"HTTP/1.0 200 OK\r\nServer: old"), None),
            (answer(b"HTTP/1.1 200\r\nServer: terse"), None),
            (answer(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999", b"x" * 1_000_000), None),
            (answer(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nServer: polite"), None),
            (answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\nServer: polite"), "HTTP 503"),
            (status("404 Not Found"), "HTTP 404"),
            (status("500 Internal Server Error"), "HTTP 500"),
            (hang, "no answer within 0.3 s"),
            (drip, "no answer within 0.3 s"),
            (flood, "its headers are longer than 65536 bytes"),
            (answer(b"SSH-2.0-OpenSSH_9.2"), "its answer is not HTTP"),
            (answer(b"HTTP/1.1 2000 OK"), "its answer is not HTTP"),
            (answer(b"HTTP/2 200 OK"), "its answer is not HTTP"),
            (answer(bytes(range(256)) * 16), "its answer is not HTTP"),
            (cut(b"HTTP/1.1 200 OK\r\nServer: "), "it closed in the middle of its answer"),
            (cut(b""), "it closed without an answer"),
        ],
    )
    def test_http(self, lab: Lab, behaviour: Behaviour, failure: str | None) -> None:
        replica = lab.replicas["replica-1"]
        ward = Ward(replica.namespace, PORT, behaviour)
        try:
            assert ask(lab, Endpoint(replica.address, PORT), "http:/up timeout=300ms") == failure
        finally:
            ward.stop()

    def test_it_asks_for_the_path_with_the_services_name_as_host(self, lab: Lab, wards: dict[str, Ward]) -> None:
        to = Endpoint(lab.replicas["replica-1"].address, PORT)
        ask(lab, to, "http:/up?full=1")
        ask(lab, to, "http:/up host=shop.example:8080")
        first, second = wards["replica-1"].asked
        assert first.startswith(b"GET /up?full=1 HTTP/1.1\r\nHost: web\r\n")
        assert second.startswith(b"GET /up HTTP/1.1\r\nHost: shop.example:8080\r\n")
        assert all(request.endswith(b"Connection: close\r\n\r\n") for request in (first, second))

    @pytest.mark.parametrize("check", ["tcp timeout=300ms", "http:/ timeout=300ms"])
    def test_nobody_there(self, lab: Lab, check: str) -> None:
        replica = lab.replicas["replica-1"]
        assert replica.address6 is not None
        for address in (replica.address, replica.address6):
            assert ask(lab, Endpoint(address, PORT), check) == "connection refused"
        assert ask(lab, Endpoint(IPv4Address("172.30.0.99"), PORT), check) == "no answer within 0.3 s"
        assert ask(lab, Endpoint(IPv4Address("192.0.2.1"), PORT), check) == "no route to its network"

    def test_tcp_is_content_with_a_connection(self, lab: Lab, wards: dict[str, Ward]) -> None:
        wards["replica-1"].behaviour = hang
        replica = lab.replicas["replica-1"]
        assert ask(lab, Endpoint(replica.address, PORT), "tcp") is None
        assert ask(lab, replica.endpoint6, "tcp") is None


class TestRotation:
    def test_an_unhealthy_replica_leaves_and_comes_back_and_no_request_fails(
        self, host: Machine, agent: Keeper, wards: dict[str, Ward]
    ) -> None:
        lab = host.lab
        serve(agent, service(host, f"http:{PORT}/up {FAST}"))
        one = lab.replicas["replica-1"]
        with Load(lab.client.namespace, lab.at(80), total=20_000, rate=300) as load:
            wards[one.name].behaviour = status("500 Out Of Order")
            until(lambda: one.endpoint not in agent.served())
            before = one.server.connections_total
            assert len(agent.served()) == 2
            assert agent.reasons()[Endpoint(one.address, PORT)] == "HTTP 500"
            until(lambda: sum(each.server.connections_total for each in lab.replicas.values()) > before + 100)
            assert one.server.connections_total <= before + 5  # those that were under way when it left
            wards[one.name].behaviour = status("200 OK")
            until(lambda: one.endpoint in agent.served())
            since = one.server.connections_total
            until(lambda: one.server.connections_total > since + 20)
            traffic = load.stop()
        assert traffic.failures == ()

    def test_a_replica_that_dies_is_felled_by_tcp_and_after_that_no_request_fails(
        self, host: Machine, agent: Keeper
    ) -> None:
        lab = host.lab
        serve(agent, service(host, f"tcp {FAST}"))
        one = lab.replicas["replica-1"]
        with Load(lab.client.namespace, lab.at(80), total=20_000, rate=300) as load:
            one.server.stop()
            until(lambda: one.endpoint not in agent.served())
            assert set(load.stop().failures_by_kind) <= {FailureKind.REFUSED, FailureKind.RESET, FailureKind.CLOSED}
        assert agent.reasons()[one.endpoint] == "connection refused"
        traffic = send(lab.client.namespace, lab.at(80), 300)
        assert traffic.failures == ()
        assert set(traffic.answers) == {"replica-2", "replica-3"}

    def test_one_that_hangs_leaves_and_delays_nobody(
        self, host: Machine, agent: Keeper, wards: dict[str, Ward]
    ) -> None:
        lab = host.lab
        serve(agent, service(host, f"http:{PORT}/ {FAST}"))
        one, two, three = lab.replicas.values()
        wards[one.name].behaviour = hang
        until(lambda: agent.served() == {two.endpoint, three.endpoint})
        asked = len(wards[two.name].asked), len(wards[one.name].asked)
        until(lambda: len(wards[two.name].asked) >= asked[0] + 10)
        assert len(wards[one.name].asked) >= asked[1] + 7

    def test_a_new_replica_waits_for_its_first_success(
        self, host: Machine, agent: Keeper, wards: dict[str, Ward]
    ) -> None:
        lab = host.lab
        one, two, three = lab.replicas.values()
        wanted = service(host, f"http:{PORT}/ interval=200ms timeout=100ms rise=100 fall=100")
        wards[three.name].behaviour = status("503 Starting")
        agent.define(wanted)
        until(lambda: agent.served() == {one.endpoint, two.endpoint})
        until(lambda: len(wards[three.name].asked) > 1)
        assert agent.served() == {one.endpoint, two.endpoint}
        wards[three.name].behaviour = status("200 OK")
        until(lambda: agent.served() == {one.endpoint, two.endpoint, three.endpoint})

    def test_a_check_given_to_a_service_under_load_costs_no_request(
        self, host: Machine, agent: Keeper, wards: dict[str, Ward]
    ) -> None:
        lab = host.lab
        one, two, three = lab.replicas.values()
        wards[three.name].behaviour = hang
        agent.define(service(host, "none"))
        until(lambda: len(agent.served()) == 3)
        with Load(lab.client.namespace, lab.at(80), total=20_000, rate=300) as load:
            serve(agent, service(host, f"http:{PORT}/up {FAST}"))
            until(lambda: agent.served() == {one.endpoint, two.endpoint})
            serve(agent, service(host, f"tcp:{PORT} {FAST}"))
            until(lambda: len(agent.served()) == 3)
            traffic = load.stop()
        assert traffic.failures == ()

    def test_datagrams_follow_a_check_by_http(self, host: Machine, agent: Keeper, wards: dict[str, Ward]) -> None:
        dns = Listener(53, Protocol.UDP, to=8080)
        serve(agent, service(host, f"http:{PORT}/up {FAST}", dns))
        one, two, three = host.lab.replicas.values()
        assert len(agent.served(dns)) == 3
        wards[two.name].behaviour = status("500 Out Of Order")
        until(lambda: agent.served(dns) == {one.endpoint, three.endpoint})
        traffic = send(host.lab.client.namespace, host.lab.at(53), 100, protocol=Protocol.UDP)
        assert traffic.failures == ()
        assert set(traffic.answers) == {one.name, three.name}


class TestSuspicion:
    def test_one_that_leaves_clients_waiting_is_probed_at_once(self, host: Machine, agent: Keeper) -> None:
        lab = host.lab
        # By its interval alone, a failure would be seen within an hour.
        serve(agent, service(host, "tcp interval=1h timeout=200ms"))
        one, two, three = lab.replicas.values()
        one.namespace.run(_fall_silent)
        with Load(lab.client.namespace, lab.at(80), total=200, rate=50, timeout=1) as load:
            until(lambda: agent.served() == {two.endpoint, three.endpoint}, 10)
            assert set(load.stop().failures_by_kind) == {FailureKind.TIMEOUT}
        assert agent.reasons()[one.endpoint] == "no answer within 0.2 s"
        assert send(lab.client.namespace, lab.at(80), 100).failures == ()

    def test_what_is_unanswered_is_seen_and_nothing_else(self, host: Machine) -> None:
        lab = host.lab
        one, two, three = lab.replicas.values()
        host.share(WEB, to=[one.address, two.address, three.address])
        looking = UnansweredConnections()
        send(lab.client.namespace, lab.at(80), 30)
        two.server.stop()
        send(lab.client.namespace, lab.at(80), 30)  # a third of them are refused
        assert lab.host.run(looking.endpoints) == frozenset()
        one.namespace.run(_fall_silent)
        send(lab.client.namespace, one.endpoint, 1, timeout=0.2)  # not by way of netshare
        assert lab.host.run(looking.endpoints) == frozenset()
        send(lab.client.namespace, lab.at(80), 30, timeout=0.2)
        assert lab.host.run(looking.endpoints) == {one.endpoint}
        lab.host.run(looking.close)


class TestNobodyWell:
    def test_all_go_on_being_given_connections_and_status_says_so(
        self, host: Machine, agent: Keeper, wards: dict[str, Ward], tmp_path: Path
    ) -> None:
        serve(agent, service(host, f"http:{PORT}/up {FAST}"))
        for ward in wards.values():
            ward.behaviour = status("500 Out Of Order")
        until(lambda: set(agent.standings().values()) == {Standing.UNHEALTHY})
        until(lambda: len(agent.served()) == 3)
        traffic = send(host.lab.client.namespace, host.lab.at(80), 100)
        assert (traffic.failures, len(traffic.answers)) == ((), 3)
        replicas = self.seen(host, agent, tmp_path)
        assert {state for state, _ in replicas} == {ReplicaState.UNHEALTHY}
        assert {reason for _, reason in replicas} == {
            "its health check fails: HTTP 500; unhealthy, but so are all: still serving (fail open)"
        }
        wards["replica-2"].behaviour = status("200 OK")
        until(lambda: agent.served() == {host.lab.replicas["replica-2"].endpoint})

    def test_closed_they_are_refused(
        self, host: Machine, agent: Keeper, wards: dict[str, Ward], tmp_path: Path
    ) -> None:
        serve(agent, service(host, f"http:{PORT}/up {FAST}", fail=FailMode.CLOSED))
        for ward in wards.values():
            ward.behaviour = status("500 Out Of Order")
        until(lambda: not agent.served())
        traffic = send(host.lab.client.namespace, host.lab.at(80), 5, timeout=1)
        assert traffic.failures_by_kind == {FailureKind.REFUSED: 5}
        assert {reason for _, reason in self.seen(host, agent, tmp_path)} == {"its health check fails: HTTP 500"}

    def seen(self, host: Machine, agent: Keeper, directory: Path) -> set[tuple[ReplicaState, str | None]]:
        """Look as another process does: by what the agent has put up, with a driver of its own."""
        other = FakeAgent(host.host)
        other.running_pid = 4242
        health = KnownHealth(HealthBoard(directory / "health.json"), other)
        own = replace(host.host, driver=agent.eyes, health=health)
        (found,) = host.lab.host.run(look_up, own, other, FakeConnections()).services
        return {(each.replica.state, each.replica.reason) for each in found.replicas}


def test_a_restart_of_the_agent_takes_over_what_was_known(
    host: Machine, wards: dict[str, Ward], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two, three = host.lab.replicas.values()
    wards[one.name].behaviour = hang
    with keeper(host, tmp_path) as first:
        serve(first, service(host, f"http:{PORT}/up {FAST}"))
        assert first.served() == {two.endpoint, three.endpoint}
    caplog.clear()
    caplog.set_level("INFO", "netshare")
    with keeper(host, tmp_path) as second:
        assert second.standings()[Endpoint(one.address, PORT)] is Standing.UNHEALTHY
        asked = len(wards[two.name].asked)
        until(lambda: len(wards[two.name].asked) > asked + 5)
        assert second.served() == {two.endpoint, three.endpoint}
    assert [message for message in caplog.messages if message.startswith(("apply", "judge"))] == []


def test_hundreds_of_endpoints_side_by_side(host: Machine, agent: Keeper) -> None:
    count = 300
    lab, replica = host.lab, host.lab.replicas["replica-1"]
    addresses = [ip_address("10.77.0.0") + number for number in range(1, count + 1)]
    replica.namespace.run(_take_in, "10.77.0.0/16")
    lab.host.run(_route, "10.77.0.0/16", str(replica.address))
    tarpits = addresses[:20]
    with ExitStack() as stack:
        ward = Ward(replica.namespace, PORT, _unless(tarpits))
        stack.callback(ward.stop)
        wanted = Service(
            "web",
            (Listener(80, to=PORT),),
            endpoints=tuple(map(StaticEndpoint, addresses)),
            health=health_check("http:/up interval=1s timeout=1s"),
        )
        agent.define(wanted)
        until(lambda: len(agent.standings()) == count and Standing.UNKNOWN not in agent.standings().values(), 30)
        expected = {Endpoint(address, PORT) for address in addresses if address not in tarpits}
        until(lambda: agent.served() == expected)
        asked = len(ward.asked)
        until(lambda: len(ward.asked) > asked + 2 * count, 30)
        assert agent.served() == expected


def _unless(tarpits: Collection[IPAddress]) -> Behaviour:
    """Answer, but for connections to some of the addresses: these hang."""
    well = status("200 OK")

    def behave(connection: socket.socket) -> None:
        (hang if ip_address(connection.getsockname()[0]) in tarpits else well)(connection)

    return behave


def _fall_silent() -> None:
    """Answer nobody any more: what is sent is lost, and no error is told of."""
    with IPRoute() as netlink:
        for network in ("0.0.0.0/1", "128.0.0.0/1", "172.30.0.1/32"):
            netlink.route("add", dst=network, type="blackhole")


def _take_in(network: str) -> None:
    with IPRoute() as netlink:
        netlink.route(
            "add", dst=network, type="local", oif=netlink.link_lookup(ifname="lo")[0], table=255, scope="host"
        )


def _route(network: str, gateway: str) -> None:
    with IPRoute() as netlink:
        netlink.route("add", dst=network, gateway=gateway)

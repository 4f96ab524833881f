"""Real packets through what the driver programs: who gets them, and who keeps them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest

from netshare.core.diff import diff
from netshare.core.model import Endpoint, Family, IPAddress, Protocol, Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.lab.conversation import Conversation, FailureKind
from netshare.lab.server import ReplicaServer
from netshare.lab.topology import Lab, LabReplica
from netshare.lab.traffic import Load, Traffic, send
from netshare.netfilter.conntrack import TrackedConnections
from netshare.netfilter.driver import Driver
from tests.inside import DRIVERS, driver_inside
from tests.netns.waiting import until

pytestmark = pytest.mark.netns

WEB = 80
KINDS = [(family, protocol) for family in Family for protocol in (Protocol.TCP, Protocol.UDP)]

# The chi-square statistic of an even spread exceeds these once in a million times (1, 2 and 9 degrees of freedom).
BOUNDS = {1: 0.0, 3: 27.63, 10: 47.87}


class Host:
    """The lab's host, with services on it."""

    def __init__(self, lab: Lab, driver: Driver) -> None:
        self.lab = lab
        self.driver = driver

    def serve(self, *replicas: LabReplica, port: int = WEB, rebuild: bool = False) -> None:
        """Put replicas behind a port, of all families and protocols; with none of them it refuses."""
        self.apply(self.ruleset(replicas, port), rebuild=rebuild)

    def apply(self, wanted: Ruleset, *, rebuild: bool = False) -> None:
        observation = self.driver.observe()
        self.driver.apply(diff(observation.ruleset, wanted, rebuild=rebuild or not observation.intact))

    def ruleset(
        self, replicas: Iterable[LabReplica], port: int = WEB, address: IPAddress | None = None, service: str = "web"
    ) -> Ruleset:
        served = list(replicas)
        dispatches: dict[Match, Dispatch] = {}
        for family, protocol in KINDS:
            if address is None or Family.of(address) is family:
                slots = tuple(self.endpoint(replica, family) for replica in served)
                match = Match(family, protocol, port, address)
                dispatches[match] = Dispatch(service, Strategy.RANDOM if slots else None, slots)
        targets = (Target(m.protocol, endpoint) for m, dispatch in dispatches.items() for endpoint in dispatch.slots)
        return Ruleset(dispatches, frozenset(targets))

    def endpoint(self, replica: LabReplica, family: Family) -> Endpoint:
        return replica.endpoint if family is Family.IP else replica.endpoint6

    def at(self, family: Family, port: int = WEB) -> Endpoint:
        """Where the client reaches the host."""
        return self.lab.at(port) if family is Family.IP else self.lab.at6(port)

    def ask(self, total: int, family: Family = Family.IP, protocol: Protocol = Protocol.TCP) -> Traffic:
        """Send requests from the client; all of them must be answered."""
        traffic = send(self.lab.client.namespace, self.at(family), total, protocol=protocol, timeout=5)
        assert traffic.failures == ()
        return traffic

    @contextmanager
    def held(self, total: int, family: Family, protocol: Protocol) -> Iterator[list[Target]]:
        """Ask on that many connections, open at once: so no two UDP flows come from the same port of the client."""
        with ExitStack() as stack:
            client, to = self.lab.client.namespace, self.at(family)
            held = [stack.enter_context(Conversation(client, to, protocol=protocol)) for _ in range(total)]
            answers = [conversation.ask().replica for conversation in held]
            yield [Target(protocol, self.endpoint(self.lab.replicas[name], family)) for name in answers]

    def active(self) -> Mapping[Target, int]:
        return self.lab.host.run(TrackedConnections().active)


@pytest.fixture(params=DRIVERS)
def host(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Host]:
    with driver_inside(lab.host, request.param) as driver:
        yield Host(lab, driver)


def chi_square(answers: Mapping[str, int], cells: int) -> float:
    expected = sum(answers.values()) / cells
    return sum((answers.get(name, 0) - expected) ** 2 / expected for name in answers) + expected * (
        cells - len(answers)
    )


class TestSpread:
    @pytest.mark.parametrize("family", Family)
    @pytest.mark.parametrize("replicas", [1, 3, 10])
    @pytest.mark.parametrize("name", DRIVERS)
    def test_equal_shares(self, name: str, replicas: int, family: Family) -> None:
        with Lab(replicas=replicas) as lab, driver_inside(lab.host, name) as driver:
            host = Host(lab, driver)
            host.serve(*lab.replicas.values())
            answers = host.ask(2000, family).answers
            assert set(answers) == set(lab.replicas)
            assert chi_square(answers, replicas) <= BOUNDS[replicas]
            answers = host.ask(500, family, Protocol.UDP).answers
            assert chi_square(answers, replicas) <= BOUNDS[replicas]

    def test_the_bound_tells_an_even_spread_from_the_popular_recipe(self) -> None:
        assert chi_square({"a": 700, "b": 650, "c": 650}, 3) < BOUNDS[3]
        assert chi_square({"a": 700, "b": 700, "c": 600}, 3) < BOUNDS[3]
        assert chi_square({"a": 1000, "b": 1000}, 3) > BOUNDS[3]
        assert chi_square({str(n): 200 if n else 390 for n in range(10)}, 10) > BOUNDS[10]


class TestAddresses:
    @pytest.mark.parametrize(("family", "protocol"), KINDS)
    def test_the_replica_sees_the_clients_own_address(self, host: Host, family: Family, protocol: Protocol) -> None:
        host.serve(*host.lab.replicas.values())
        client = host.lab.client
        own = client.address if family is Family.IP else client.address6
        assert host.ask(50, family, protocol).clients == {own}

    def test_every_local_address_is_listened_on(self, host: Host) -> None:
        host.serve(*host.lab.replicas.values())
        client, network = host.lab.client, host.lab.network
        for address in (client.gateway, network.address, client.gateway6, network.address6):
            assert address is not None
            assert send(client.namespace, Endpoint(address, WEB), 20).failures == ()

    def test_an_address_of_its_own_beside_a_listener_on_every_address(self, host: Host) -> None:
        one, two, three = host.lab.replicas.values()
        gateway, network = host.lab.client.gateway, host.lab.network.address
        everywhere, bound = host.ruleset([two]), host.ruleset([one], address=gateway, service="bound")
        host.apply(Ruleset({**everywhere.dispatches, **bound.dispatches}, everywhere.targets | bound.targets))
        assert host.ask(20).answers == {one.name: 20}
        assert host.ask(20, protocol=Protocol.UDP).answers == {one.name: 20}
        assert host.ask(20, Family.IP6).answers == {two.name: 20}
        assert send(host.lab.client.namespace, Endpoint(network, WEB), 20).answers == {two.name: 20}
        gateway6 = host.lab.client.gateway6
        bound6 = host.ruleset([three], address=gateway6, service="bound")
        host.apply(Ruleset({**everywhere.dispatches, **bound6.dispatches}, everywhere.targets | bound6.targets))
        assert host.ask(20).answers == {two.name: 20}
        assert host.ask(20, Family.IP6).answers == {three.name: 20}

    def test_the_host_itself_is_a_client_too(self, host: Host) -> None:
        host.serve(*host.lab.replicas.values())
        for family in Family:
            traffic = send(host.lab.host, host.at(family), 100)
            assert (traffic.failures, set(traffic.answers)) == ((), set(host.lab.replicas))

    def test_what_containers_send_to_that_port_elsewhere_is_not_touched(self, host: Host) -> None:
        host.serve(*host.lab.replicas.values())
        outside = ReplicaServer("outside", host.lab.client.namespace, WEB, ipv6=True)
        try:
            container, client = host.lab.replicas["replica-1"], host.lab.client
            for address in (client.address, client.address6):
                assert address is not None
                traffic = send(container.namespace, Endpoint(address, WEB), 20)
                assert (traffic.answers, traffic.failures) == ({"outside": 20}, ())
        finally:
            outside.stop()

    def test_other_ports_and_protocols_are_not_touched(self, host: Host) -> None:
        one = host.lab.replicas["replica-1"]
        everything = host.ruleset([one])
        tcp = {match: dispatch for match, dispatch in everything.dispatches.items() if match.protocol is Protocol.TCP}
        host.apply(Ruleset(tcp, everything.targets))
        own = ReplicaServer("host itself", host.lab.host, WEB, ipv6=True)
        try:
            assert host.ask(10).answers == {one.name: 10}
            assert host.ask(10, protocol=Protocol.UDP).answers == {"host itself": 10}
        finally:
            own.stop()
        assert send(host.lab.client.namespace, host.lab.at(81), 5).failures_by_kind == {FailureKind.REFUSED: 5}


class TestRefusal:
    @pytest.mark.parametrize(("family", "protocol"), KINDS)
    def test_with_no_endpoint_a_client_is_refused_at_once(self, host: Host, family: Family, protocol: Protocol) -> None:
        host.serve()
        traffic = send(host.lab.client.namespace, host.at(family), 5, protocol=protocol, timeout=1)
        assert traffic.failures_by_kind == {FailureKind.REFUSED: 5}

    @pytest.mark.parametrize("family", Family)
    def test_the_host_itself_is_refused_as_well(self, host: Host, family: Family) -> None:
        host.serve()
        traffic = send(host.lab.host, host.at(family), 5, timeout=1)
        assert traffic.failures_by_kind == {FailureKind.REFUSED: 5}
        # Of a datagram that is dropped on its way out, the kernel tells the sender itself.
        asking = Conversation(host.lab.host, host.at(family), protocol=Protocol.UDP, timeout=1)
        with asking, pytest.raises(PermissionError):
            asking.ask()

    def test_it_never_falls_through_to_a_process_of_the_host(self, host: Host) -> None:
        own = ReplicaServer("host itself", host.lab.host, WEB, ipv6=True)
        try:
            assert host.ask(5).answers == {"host itself": 5}
            host.serve()
            traffic = send(host.lab.client.namespace, host.at(Family.IP), 5, timeout=1)
            assert traffic.failures_by_kind == {FailureKind.REFUSED: 5}
            host.driver.remove_all()
            assert host.ask(5).answers == {"host itself": 5}
        finally:
            own.stop()

    def test_a_service_comes_and_goes(self, host: Host) -> None:
        one = host.lab.replicas["replica-1"]
        for _ in range(3):
            host.serve(one)
            assert host.ask(5).answers == {one.name: 5}
            host.serve()
            refused = send(host.lab.client.namespace, host.at(Family.IP), 5, timeout=1)
            assert refused.failures_by_kind == {FailureKind.REFUSED: 5}


class TestChanges:
    def test_new_connections_follow_at_once(self, host: Host) -> None:
        one, two, three = host.lab.replicas.values()
        for replicas in ((one,), (two,), (two, three), (one,), (one, two, three), (three,)):
            host.serve(*replicas)
            for family in Family:
                answers = host.ask(60, family).answers
                assert set(answers) == {replica.name for replica in replicas}

    def test_established_connections_outlive_every_change(self, host: Host) -> None:
        one, two, three = host.lab.replicas.values()
        host.serve(one, two, three)
        with ExitStack() as stack:
            held = [
                stack.enter_context(Conversation(host.lab.client.namespace, host.at(family)))
                for family in Family
                for _ in range(20)
            ]
            at_first = [conversation.ask() for conversation in held]
            assert {answer.replica for answer in at_first} == set(host.lab.replicas)
            for replicas in ((one, two), (one,), (), (two, three), (one, two, three)):
                for rebuild in (False, True):
                    host.serve(*replicas, rebuild=rebuild)
                    assert [conversation.ask() for conversation in held] == at_first

            host.serve(one, two)
            host.lab.remove_replica(three.name)
            staying = [n for n, answer in enumerate(at_first) if answer.replica != three.name]
            assert [held[n].ask() for n in staying] == [at_first[n] for n in staying]

    def test_no_request_fails_while_the_rules_change_all_the_time(self, host: Host) -> None:
        one, two, three = host.lab.replicas.values()
        host.serve(one)
        # Not more requests than a client has ports: none is free again before TIME_WAIT is over.
        load = Load(host.lab.client.namespace, host.at(Family.IP), total=20_000, timeout=5)
        for number in range(300):
            host.serve(*((one, two), (two, three), (three,), (one, two, three))[number % 4], rebuild=number % 5 == 0)
        until(lambda: sum(replica.server.connections_total for replica in (one, two, three)) > 300)
        traffic = load.stop()
        assert traffic.failures == ()
        assert set(traffic.answers) == set(host.lab.replicas)


class TestCounting:
    def test_every_new_connection_is_counted_once(self, host: Host) -> None:
        host.serve(*host.lab.replicas.values())
        expected: Counter[Target] = Counter(dict.fromkeys(host.driver.observe().ruleset.targets, 0))
        for (family, protocol), total in zip(KINDS, (300, 100, 200, 50), strict=True):
            with host.held(total, family, protocol) as targets:
                expected.update(targets)
        assert host.driver.observe().connections == expected
        assert host.driver.connections() == expected

        one, two, three = host.lab.replicas.values()
        send(host.lab.client.namespace, one.endpoint, 10)  # not by way of netshare
        send(host.lab.client.namespace, host.lab.at(81), 10)  # refused by the host
        assert host.driver.observe().connections == expected

        kept = host.ruleset([one, two])
        host.apply(Ruleset(kept.dispatches, host.driver.observe().ruleset.targets))
        host.ask(40)
        connections = host.driver.observe().connections
        assert sum(connections.values()) == sum(expected.values()) + 40
        assert connections[Target(Protocol.TCP, three.endpoint)] == expected[Target(Protocol.TCP, three.endpoint)]

    def test_the_host_is_counted_as_any_client(self, host: Host) -> None:
        one = host.lab.replicas["replica-1"]
        host.serve(one)
        assert send(host.lab.host, host.at(Family.IP), 10).failures == ()
        assert host.driver.observe().connections[Target(Protocol.TCP, one.endpoint)] == 10

    @pytest.mark.parametrize("family", Family)
    def test_open_connections_are_counted_while_they_are_open(self, host: Host, family: Family) -> None:
        host.serve(*host.lab.replicas.values())
        assert host.active() == {}
        with ExitStack() as stack:
            direct = host.endpoint(host.lab.replicas["replica-1"], family)
            stack.enter_context(Conversation(host.lab.client.namespace, direct)).ask()
            expected = Counter(stack.enter_context(host.held(30, family, Protocol.TCP)))
            assert host.active() == expected
            host.serve()
            assert host.active() == expected
        until(lambda: host.active() == {})

    def test_udp_flows_are_open_until_the_kernel_forgets_them(self, host: Host) -> None:
        host.serve(*host.lab.replicas.values())
        with host.held(30, Family.IP, Protocol.UDP) as four, host.held(30, Family.IP6, Protocol.UDP) as six:
            expected = Counter([*four, *six])
        assert host.active() == expected

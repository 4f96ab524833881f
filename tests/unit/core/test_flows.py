"""Which flows a change ends: decided on plain data."""

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address

import pytest

from netshare.core.diff import Change, diff
from netshare.core.flows import NOTHING, Expectation, Flow, Phase, concerns_flows, expect
from netshare.core.model import (
    Container,
    ContainerStatus,
    Endpoint,
    Family,
    Health,
    IPAddress,
    Listener,
    Protocol,
    Service,
    StaticEndpoint,
)
from netshare.core.plan import ServiceReplicas, plan
from netshare.core.ruleset import Match, Ruleset, Target
from netshare.core.selection import replicas
from tests.fakes.engine import container

HOST, OTHER_ADDRESS = ip_address("198.18.0.1"), ip_address("172.30.0.1")
CONNECTED = (Protocol.TCP, Protocol.SCTP)
DNS = Listener(53, Protocol.UDP)
WEB = Listener(80, to=8080)


def service(name: str, *listeners: Listener, endpoints: tuple[str, ...] = ()) -> Service:
    static = tuple(StaticEndpoint(ip_address(address)) for address in endpoints)
    return Service(name, listeners, endpoints=static)


class World:
    """Two states of a host, and the change between them."""

    def __init__(
        self,
        before: tuple[Iterable[Service], Iterable[Container]],
        after: tuple[Iterable[Service], Iterable[Container]],
        *,
        kept: frozenset[str] = frozenset(),
        thorough: bool = False,
        rebuild: bool = False,
    ) -> None:
        held = plan(judge(*before))
        services, self.containers = after
        self.judged = judge([each for each in services if each.name not in kept], self.containers)
        self.kept, self.thorough = kept, thorough
        self.change: Change = diff(held, plan(self.judged, keep=kept, held=held), rebuild=rebuild)

    @property
    def is_concerned(self) -> bool:
        return concerns_flows(self.change, self.judged, kept=self.kept, thorough=self.thorough)

    @property
    def expected(self) -> Expectation:
        return expect(self.change, self.judged, kept=self.kept, containers=self.containers, thorough=self.thorough)

    def ends(self, flow: Flow) -> bool:
        """What becomes of a flow, of which a change that concerns none can't tell."""
        assert self.is_concerned
        return self.expected.ends(flow)


def judge(services: Iterable[Service], containers: Iterable[Container]) -> list[ServiceReplicas]:
    listed = list(containers)
    return [ServiceReplicas(each, replicas(each, listed)) for each in services]


def flow(
    listener: Listener,
    to: str,
    *,
    port: int | None = None,
    phase: Phase | None = None,
    is_ours: bool = True,
    is_local: bool = True,
    at: IPAddress = HOST,
) -> Flow:
    address = ip_address(to)
    if phase is None and listener.protocol is not Protocol.UDP:
        phase = Phase.ESTABLISHED
    answers = Endpoint(address, port or listener.to or listener.port)
    return Flow(listener.protocol, Endpoint(at, listener.port), answers, is_ours, is_local, phase)


def passing(listener: Listener, *, is_local: bool = True, at: IPAddress = HOST) -> Flow:
    """A flow that no rule of netshare's has seen."""
    return flow(listener, str(at), port=listener.port, is_ours=False, is_local=is_local, at=at)


ONE, TWO, THREE = (container(f"dns-{n}", f"172.30.0.{n}") for n in (1, 2, 3))
DNS_SERVICE = service("dns", DNS)


class TestDatagrams:
    def test_a_replica_that_is_gone(self) -> None:
        world = World(([DNS_SERVICE], [ONE, TWO]), ([DNS_SERVICE], [TWO]))
        assert world.ends(flow(DNS, "172.30.0.1"))
        assert not world.ends(flow(DNS, "172.30.0.2"))

    def test_a_draining_replica_keeps_its_flows_until_it_is_gone(self) -> None:
        leaving = replace(ONE, leaving=True)
        world = World(([DNS_SERVICE], [ONE, TWO]), ([DNS_SERVICE], [leaving, TWO]))
        assert not world.ends(flow(DNS, "172.30.0.1"))
        world = World(([DNS_SERVICE], [leaving, TWO]), ([DNS_SERVICE], [TWO]))
        assert world.ends(flow(DNS, "172.30.0.1"))

    @pytest.mark.parametrize(
        "unwell",
        [replace(ONE, status=ContainerStatus.PAUSED), replace(ONE, health=Health.UNHEALTHY)],
        ids=["paused", "unhealthy"],
    )
    def test_a_replica_that_is_unwell_keeps_them_only_while_none_is_ready(self, unwell: Container) -> None:
        stuck = flow(DNS, "172.30.0.1")
        assert World(([DNS_SERVICE], [ONE, TWO]), ([DNS_SERVICE], [unwell, TWO])).ends(stuck)
        assert not World(([DNS_SERVICE], [ONE]), ([DNS_SERVICE], [unwell])).ends(stuck)
        assert World(([DNS_SERVICE], [unwell]), ([DNS_SERVICE], [unwell, TWO])).ends(stuck)

    def test_the_last_replica(self) -> None:
        world = World(([DNS_SERVICE], [ONE]), ([DNS_SERVICE], []))
        assert world.ends(flow(DNS, "172.30.0.1"))

    def test_a_service_that_is_gone(self) -> None:
        world = World(([DNS_SERVICE], [ONE]), ([], [ONE]))
        assert world.ends(flow(DNS, "172.30.0.1"))
        assert not world.ends(passing(DNS))

    def test_a_replica_replaced_on_the_same_address_is_nothing_to_do(self) -> None:
        again = container("dns-4", "172.30.0.1")
        assert not World(([DNS_SERVICE], [ONE, TWO]), ([DNS_SERVICE], [again, TWO])).is_concerned

    def test_a_listener_that_moves_to_other_ports_of_its_replicas(self) -> None:
        moved = service("dns", Listener(53, Protocol.UDP, to=5353))
        world = World(([DNS_SERVICE], [ONE]), ([moved], [ONE]))
        assert world.ends(flow(DNS, "172.30.0.1"))
        assert not world.ends(flow(DNS, "172.30.0.1", port=5353))

    def test_an_endpoint_that_now_belongs_to_another_service(self) -> None:
        """It stays a target of the ruleset, and is no longer reached by the listener it was reached by."""
        old = [service("dns", DNS, endpoints=("172.30.0.1",)), service("log", Listener(514, Protocol.UDP, to=53))]
        new = [service("dns", DNS, endpoints=("172.30.0.2",)), old[1]]
        one = container("log", "172.30.0.1")
        world = World((old, [one]), (new, [one]))
        assert world.ends(flow(DNS, "172.30.0.1"))
        assert not world.ends(flow(Listener(514, Protocol.UDP, to=53), "172.30.0.1"))

    def test_a_listener_on_one_address_takes_its_flows_from_that_on_all(self) -> None:
        bound = service("bound", Listener(53, Protocol.UDP, HOST), endpoints=("172.30.0.3",))
        world = World(([DNS_SERVICE], [ONE]), ([DNS_SERVICE, bound], [ONE]))
        assert world.ends(flow(DNS, "172.30.0.1"))
        assert not world.ends(flow(DNS, "172.30.0.1", at=OTHER_ADDRESS))
        back = World(([DNS_SERVICE, bound], [ONE]), ([DNS_SERVICE], [ONE]))
        assert back.ends(flow(DNS, "172.30.0.3"))
        assert not back.ends(flow(DNS, "172.30.0.1", at=OTHER_ADDRESS))

    def test_the_families_of_a_listener_are_apart(self) -> None:
        dual = container("dns-1", "172.30.0.1", "fd00::1")
        world = World(([DNS_SERVICE], [dual]), ([DNS_SERVICE], [ONE]))
        six = ip_address("2001:db8::1")
        assert world.ends(flow(DNS, "fd00::1", at=six))
        assert not world.ends(flow(DNS, "172.30.0.1"))


class TestFlowsThatPassedBy:
    def test_they_end_when_their_listener_comes(self) -> None:
        world = World(([], []), ([DNS_SERVICE], [ONE]))
        assert world.expected.ports == {(Protocol.UDP, 53)}
        assert world.ends(passing(DNS))
        assert world.ends(passing(DNS, at=ip_address("fd00::ffff")))

    def test_also_where_nobody_is_there_yet_to_take_them(self) -> None:
        assert World(([], []), ([DNS_SERVICE], [])).ends(passing(DNS))

    def test_what_is_on_its_way_to_another_host_is_left_alone(self) -> None:
        world = World(([], []), ([DNS_SERVICE], [ONE]))
        assert not world.ends(passing(DNS, is_local=False))
        assert not world.ends(passing(Listener(5353, Protocol.UDP)))
        assert not world.ends(passing(Listener(53, Protocol.TCP)))

    def test_a_listener_on_one_address_claims_no_other(self) -> None:
        bound = service("bound", Listener(53, Protocol.UDP, HOST), endpoints=("172.30.0.3",))
        world = World(([], []), ([bound], []))
        assert world.ends(passing(DNS))
        assert not world.ends(passing(DNS, at=OTHER_ADDRESS))

    def test_a_listener_that_was_there_before_has_none(self) -> None:
        other = service("log", Listener(514, Protocol.UDP), endpoints=("172.30.0.9",))
        world = World(([DNS_SERVICE], [ONE]), ([DNS_SERVICE, other], [ONE]))
        assert world.ends(passing(Listener(514, Protocol.UDP)))
        assert not world.ends(passing(DNS))

    @pytest.mark.parametrize("how", ["thorough", "rebuild"])
    def test_unless_nothing_is_trusted(self, how: str) -> None:
        same = [DNS_SERVICE], [ONE]
        world = World(same, same, thorough=how == "thorough", rebuild=how == "rebuild")
        assert world.ends(passing(DNS))
        assert not world.ends(flow(DNS, "172.30.0.1"))
        assert world.ends(flow(DNS, "172.30.0.7"))


class TestConnections:
    @pytest.mark.parametrize("protocol", CONNECTED)
    @pytest.mark.parametrize("phase", [Phase.ESTABLISHED, Phase.CLOSING])
    def test_they_end_when_their_replica_is_gone(self, protocol: Protocol, phase: Phase) -> None:
        listener = Listener(80, protocol)
        shop = service("dns", listener)
        world = World(([shop], [ONE, TWO]), ([shop], [TWO]))
        assert world.ends(flow(listener, "172.30.0.1", phase=phase))
        assert not world.ends(flow(listener, "172.30.0.2", phase=phase))

    @pytest.mark.parametrize("protocol", CONNECTED)
    def test_not_while_it_drains(self, protocol: Protocol) -> None:
        listener = Listener(80, protocol)
        leaving = replace(ONE, leaving=True)
        same = service("dns", listener)
        world = World(([same], [ONE, TWO]), ([same], [leaving, TWO]), thorough=True)
        assert not world.ends(flow(listener, "172.30.0.1"))
        gone = World(([same], [leaving, TWO]), ([same], [TWO]))
        assert gone.ends(flow(listener, "172.30.0.1"))

    @pytest.mark.parametrize("protocol", CONNECTED)
    def test_a_replica_that_only_stopped(self, protocol: Protocol) -> None:
        """Docker goes on listing it, without an address."""
        listener = Listener(80, protocol)
        same = service("dns", listener)
        stopped = container("dns-1", status=ContainerStatus.EXITED)
        assert World(([same], [ONE]), ([same], [stopped])).ends(flow(listener, "172.30.0.1"))
        still_listed = container("dns-1", "172.30.0.1", status=ContainerStatus.DEAD)
        assert World(([same], [ONE]), ([same], [still_listed])).ends(flow(listener, "172.30.0.1"))

    @pytest.mark.parametrize("protocol", CONNECTED)
    def test_not_by_detach(self, protocol: Protocol) -> None:
        listener = Listener(80, protocol)
        other = service("log", Listener(514, Protocol.UDP), endpoints=("172.30.0.9",))
        world = World(([service("dns", listener), other], [ONE]), ([other], [ONE]))
        assert not world.ends(flow(listener, "172.30.0.1"))

    @pytest.mark.parametrize("protocol", CONNECTED)
    def test_not_by_another_list_of_endpoints(self, protocol: Protocol) -> None:
        listener = Listener(80, protocol)
        before = [service("web", listener, endpoints=("172.30.0.1", "172.30.0.2"))]
        after = [service("web", listener, endpoints=("172.30.0.2",))]
        world = World((before, []), (after, []))
        assert not world.ends(flow(listener, "172.30.0.1"))

    @pytest.mark.parametrize("status", [ContainerStatus.RUNNING, ContainerStatus.PAUSED])
    def test_not_while_a_container_has_the_address(self, status: ContainerStatus) -> None:
        """By other ports, another selector, a rename: the replica leaves the service and is there."""
        shop = service("dns", WEB)
        elsewhere = container("renamed", "172.30.0.1", status=status)
        world = World(([shop], [ONE, TWO]), ([shop], [elsewhere, TWO]))
        assert not world.ends(flow(WEB, "172.30.0.1"))
        moved = World(([shop], [ONE]), ([service("dns", Listener(80, to=9090))], [ONE]))
        assert not moved.ends(flow(WEB, "172.30.0.1"))

    def test_not_by_being_unwell(self) -> None:
        shop = service("dns", WEB)
        unwell = replace(ONE, health=Health.UNHEALTHY)
        assert not World(([shop], [ONE, TWO]), ([shop], [unwell, TWO]), thorough=True).ends(flow(WEB, "172.30.0.1"))
        static = [service("web", WEB, endpoints=("172.30.0.1", "172.30.0.2"))]
        assert not World((static, []), (static, []), thorough=True).ends(flow(WEB, "172.30.0.3"))

    def test_those_that_are_opening(self) -> None:
        shop = service("dns", WEB)
        assert World(([shop], [ONE]), ([shop], [])).ends(flow(WEB, "172.30.0.1", phase=Phase.OPENING))

    def test_never_those_that_are_not_ours(self) -> None:
        shop = service("dns", WEB, DNS)
        world = World(([], []), ([shop], []), thorough=True)
        assert not world.ends(passing(WEB))
        assert not world.ends(flow(WEB, "172.30.0.77", is_ours=False))


class TestConnectionsThatAreOver:
    """Docker would delete them when their container ends, and with them whoever has their client's port by then."""

    OVER = flow(WEB, "172.30.0.1", phase=Phase.OVER)

    @pytest.mark.parametrize("left", [[replace(ONE, leaving=True), TWO], [replace(ONE, leaving=True)], [TWO], []])
    def test_they_are_forgotten_once_their_container_is_given_no_more(self, left: list[Container]) -> None:
        shop = service("dns", WEB)
        world = World(([shop], [ONE, TWO]), ([shop], left))
        assert world.ends(self.OVER)
        assert not world.ends(flow(WEB, "172.30.0.2", phase=Phase.OVER)) or TWO not in left

    def test_not_before(self) -> None:
        shop = service("dns", WEB)
        world = World(([shop], [ONE, TWO]), ([shop], [ONE, replace(TWO, leaving=True)]))
        assert not world.ends(self.OVER)

    def test_nor_those_of_static_endpoints_of_unknown_services_and_of_others(self) -> None:
        static = service("dns", WEB, endpoints=("172.30.0.2",))
        assert not World(([], []), ([static], []), thorough=True).ends(self.OVER)
        shop = service("dns", WEB)
        assert not World(([shop], [ONE]), ([shop], []), kept=frozenset({"dns"}), thorough=True).ends(self.OVER)
        gone = World(([shop], [ONE]), ([shop], []))
        assert not gone.ends(flow(WEB, "172.30.0.1", phase=Phase.OVER, is_ours=False))
        assert not World(([shop], [ONE]), ([], [])).expected.ends(self.OVER)


class TestAssociationsThatAreNotEstablished:
    """SCTP clients often have a fixed port, and try again from it: until it works, what holds for datagrams holds."""

    LISTENER = Listener(3868, Protocol.SCTP)
    TRYING = Phase.OPENING, Phase.OVER

    @pytest.mark.parametrize("phase", TRYING)
    def test_they_go_where_there_is_a_replica(self, phase: Phase) -> None:
        before = [service("hss", self.LISTENER, endpoints=("172.30.0.1", "172.30.0.2"))]
        after = [service("hss", self.LISTENER, endpoints=("172.30.0.2",))]
        world = World((before, []), (after, []))
        assert world.ends(flow(self.LISTENER, "172.30.0.1", phase=phase))
        assert not world.ends(flow(self.LISTENER, "172.30.0.2", phase=phase))
        assert World((before, []), ([], [])).ends(flow(self.LISTENER, "172.30.0.1", phase=phase))

    @pytest.mark.parametrize("phase", TRYING)
    def test_they_come_in_by_a_new_listener(self, phase: Phase) -> None:
        world = World(([], []), ([service("hss", self.LISTENER)], []))
        trying = Flow(Protocol.SCTP, Endpoint(HOST, 3868), Endpoint(HOST, 3868), is_ours=False, phase=phase)
        assert world.ends(trying)

    def test_one_with_the_host_itself_goes_on(self) -> None:
        world = World(([], []), ([service("hss", self.LISTENER)], []))
        assert not world.ends(passing(self.LISTENER))


class TestWhatIsNotKnown:
    LOG = Listener(514, Protocol.UDP)

    def test_a_service_that_is_kept_keeps_its_flows(self) -> None:
        kept = service("log", self.LOG)
        log = container("log", "172.30.0.9")
        world = World(([DNS_SERVICE, kept], [ONE, log]), ([DNS_SERVICE, kept], []), kept=frozenset({"log"}))
        assert world.ends(flow(DNS, "172.30.0.1"))
        assert not world.ends(flow(self.LOG, "172.30.0.9"))
        assert not world.ends(flow(self.LOG, "172.30.0.10"))

    def test_its_connections_too(self) -> None:
        kept = service("shop", WEB)
        world = World(
            ([kept], [container("shop", "172.30.0.1")]), ([kept], []), kept=frozenset({"shop"}), thorough=True
        )
        assert not world.ends(flow(WEB, "172.30.0.1"))

    def test_a_flow_without_a_listener_may_be_its(self) -> None:
        """The table was lost, and with it the listeners of a service whose definition can't be read."""
        world = World(([], []), ([DNS_SERVICE], [ONE]), kept=frozenset({"log"}), rebuild=True)
        assert not world.ends(flow(self.LOG, "172.30.0.9"))

    def test_but_not_where_its_listener_was_just_removed(self) -> None:
        log = service("log", self.LOG, endpoints=("172.30.0.9",))
        web = service("web", WEB)
        world = World(([log, web], []), ([web], []), kept=frozenset({"web"}))
        assert world.ends(flow(self.LOG, "172.30.0.9"))

    def test_a_replica_that_drained_and_went_is_noticed_beside_it(self) -> None:
        """Its target stays in the ruleset, and so the change itself is empty."""
        leaving = replace(ONE, leaving=True)
        kept = service("web", WEB)
        world = World(([DNS_SERVICE, kept], [leaving, TWO]), ([DNS_SERVICE, kept], [TWO]), kept=frozenset({"web"}))
        assert world.change.is_empty
        assert world.ends(flow(DNS, "172.30.0.1"))

    def test_it_is_no_reason_to_look_every_time(self) -> None:
        kept = service("web", WEB)
        shop = container("web", "172.30.0.8")
        same = [DNS_SERVICE, kept], [ONE, shop]
        assert not World(same, same, kept=frozenset({"web"})).is_concerned


class TestWhenToLook:
    def test_not_without_a_change(self) -> None:
        same = [DNS_SERVICE, service("web", WEB)], [ONE]
        assert not World(same, same).is_concerned

    def test_not_for_more_connections_or_other_slots(self) -> None:
        shop = service("dns", WEB)
        leaving = replace(ONE, leaving=True)
        assert not World(([], []), ([shop], [ONE])).is_concerned
        assert not World(([shop], [ONE]), ([shop], [ONE, TWO])).is_concerned
        assert not World(([shop], [leaving, TWO]), ([shop], [leaving, TWO, THREE])).is_concerned
        assert not World(([shop], []), ([], [])).is_concerned

    def test_when_a_container_is_given_no_more(self) -> None:
        shop, leaving = service("dns", WEB), replace(ONE, leaving=True)
        assert World(([shop], [ONE, TWO]), ([shop], [leaving, TWO])).is_concerned
        assert not World(([shop], [leaving, TWO]), ([shop], [leaving, TWO])).is_concerned
        assert not World(([shop], [ONE, TWO]), ([shop], [replace(ONE, health=Health.UNHEALTHY), TWO])).is_concerned

    def test_not_on_a_host_that_shares_nothing(self) -> None:
        assert not World(([], []), ([], []), thorough=True).is_concerned

    def test_the_first_time_and_after_a_loss(self) -> None:
        same = [service("dns", WEB)], [ONE]
        assert World(same, same, thorough=True).is_concerned
        assert World(same, same, rebuild=True).is_concerned
        assert World((same[0], [ONE]), ([], []), thorough=True).is_concerned

    @pytest.mark.parametrize("protocol", [Protocol.UDP, Protocol.SCTP])
    def test_for_every_change_of_what_sticks(self, protocol: Protocol) -> None:
        sticky = service("dns", Listener(53, protocol))
        assert World(([], []), ([sticky], [])).is_concerned
        assert World(([sticky], []), ([], [])).is_concerned
        assert World(([sticky], [ONE]), ([sticky], [ONE, TWO])).is_concerned

    def test_others_flows_matter_only_on_new_ports(self) -> None:
        shop = service("dns", WEB)
        assert World(([shop], [ONE]), ([shop], [])).expected.ports == set()
        assert World(([], []), ([shop], [ONE]), rebuild=True).expected.ports == set()


def test_when_netshare_leaves_datagrams_go_and_connections_stay() -> None:
    assert NOTHING.ends(flow(DNS, "172.30.0.1"))
    assert not NOTHING.ends(passing(DNS))
    assert not NOTHING.ends(flow(WEB, "172.30.0.1"))
    assert not NOTHING.ports


class TestPlanWithServicesThatAreKept:
    def test_all_targets_stay_draining_ones_included(self) -> None:
        draining = Target(Protocol.TCP, Endpoint(ip_address("172.30.0.99"), 8080))
        kept = plan(judge([service("web", WEB)], [container("web", "172.30.0.1")]))
        held = Ruleset(kept.dispatches, kept.targets | {draining})
        wanted = plan(judge([DNS_SERVICE], [ONE]), keep=frozenset({"web"}), held=held)
        assert wanted.targets == held.targets | {Target(Protocol.UDP, Endpoint(ip_address("172.30.0.1"), 53))}
        assert Match(Family.IP, Protocol.TCP, 80) in wanted.dispatches

    def test_with_none_kept_they_go(self) -> None:
        draining = Target(Protocol.TCP, Endpoint(ip_address("172.30.0.99"), 8080))
        assert plan([], held=Ruleset(targets=frozenset({draining}))).targets == frozenset()

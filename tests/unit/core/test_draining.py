"""Who drains, since when, until when, and what ends at the deadline."""

import math
from dataclasses import replace
from ipaddress import ip_address

import pytest

from netshare.core.diff import diff
from netshare.core.draining import (
    Cause,
    Drain,
    begun,
    by_key,
    drain_of,
    drained,
    is_due,
    next_deadline,
    overdue,
    reason,
    seen_to,
    settled,
    spared,
)
from netshare.core.flows import Flow, Phase, concerns_flows, expect
from netshare.core.health import Verdicts
from netshare.core.judging import judge
from netshare.core.model import (
    Container,
    Endpoint,
    Family,
    Health,
    Listener,
    Protocol,
    ReplicaState,
    Service,
    Source,
    StaticEndpoint,
)
from netshare.core.plan import ServiceReplicas, plan
from netshare.core.ruleset import Match
from netshare.core.selection import replicas
from tests.fakes.engine import container

WEB = Listener(80, to=8080)
DNS = Listener(53, Protocol.UDP, to=8080)
SERVICE = Service("web", (WEB, DNS))
ONE, TWO = container("web-1", "10.0.0.1"), container("web-2", "10.0.0.2")
AT_ONE, AT_TWO = (Endpoint(ip_address(f"10.0.0.{number}"), 8080) for number in (1, 2))
HAND = Drain("web", ONE.id, "web-1", "docker", Cause.HAND, 100.0, 130.0)


def seen(*containers: Container, service: Service = SERVICE) -> ServiceReplicas:
    return ServiceReplicas(service, replicas(service, containers))


def judged(*containers: Container, drains: list[Drain], now: float = 110.0) -> ServiceReplicas:
    (item,) = drained([seen(*containers)], drains, now)
    return replace(item, replicas=judge(item.service, item.replicas, Verdicts()))


def states(item: ServiceReplicas) -> dict[str, str]:
    return {replica.name: replica.state.value for replica in item.replicas}


def slots(item: ServiceReplicas) -> set[Endpoint]:
    return set(plan([item]).dispatches[Match(Family.IP, Protocol.TCP, 80)].slots)


class TestWhatIsDrained:
    def test_gets_nothing_and_the_others_do(self) -> None:
        item = judged(ONE, TWO, drains=[HAND])
        assert states(item) == {"web-1": "draining", "web-2": "ready"}
        assert slots(item) == {AT_TWO}
        assert item.replicas[0].reason == "draining by hand: 20 s to go"

    def test_by_its_id_and_its_service_alone(self) -> None:
        again = replace(ONE, id="another")
        assert states(judged(again, TWO, drains=[HAND])) == {"web-1": "ready", "web-2": "ready"}
        assert states(judged(ONE, drains=[replace(HAND, service="shop")])) == {"web-1": "ready"}

    def test_never_fails_open_and_is_no_reason_for_others_not_to(self) -> None:
        ill = [replace(each, health=Health.UNHEALTHY) for each in (ONE, TWO)]
        item = judged(*ill, drains=[HAND])
        assert states(item) == {"web-1": "draining", "web-2": "unhealthy"}
        assert slots(item) == {AT_TWO}
        assert slots(judged(ONE, ill[1], drains=[HAND])) == {AT_TWO}

    def test_all_of_them_is_a_refusal(self) -> None:
        item = judged(ONE, TWO, drains=[HAND, replace(HAND, replica=TWO.id)])
        assert slots(item) == set()

    def test_whatever_else_is_wrong_with_it_unless_it_is_gone(self) -> None:
        for status, expected in (("paused", "draining"), ("created", "draining"), ("exited", "gone")):
            one = replace(ONE, status=type(ONE.status)(status))
            assert states(judged(one, drains=[HAND])) == {"web-1": expected}


class TestWhichDrainsThereAre:
    def test_a_stop_signal_begins_one(self) -> None:
        leaving = replace(ONE, leaving=True)
        (drain,) = settled([], [seen(leaving, TWO)], frozenset(), 50.0)
        assert drain == Drain("web", ONE.id, "web-1", "docker", Cause.STOP, 50.0, 80.0)
        assert settled([drain], [seen(leaving, TWO)], frozenset(), 60.0) == [drain]
        assert settled([drain], [seen(ONE, TWO)], frozenset(), 60.0) == []

    @pytest.mark.parametrize(
        ("given", "label", "seconds"), [(None, None, 30), (None, "5s", 5), (7.0, "5s", 7), (math.inf, "5s", math.inf)]
    )
    def test_for_as_long_as_was_said(self, given: float | None, label: str | None, seconds: float) -> None:
        leaving = replace(ONE, leaving=True, labels={} if label is None else {"netshare.drain": label})
        (drain,) = settled([], [seen(leaving, service=replace(SERVICE, drain=given))], frozenset(), 0.0)
        assert drain.deadline == seconds

    def test_one_for_every_service_of_the_replica(self) -> None:
        other = Service("shop", (Listener(81),), select=(("a", "b"),))
        leaving = replace(ONE, leaving=True, labels={"a": "b"})
        found = settled([], [seen(leaving), seen(leaving, service=other)], frozenset(), 0.0)
        assert [drain.service for drain in found] == ["web", "shop"]

    def test_one_by_hand_outlives_a_restart_of_its_container_and_its_stop_signal(self) -> None:
        for container_ in (replace(ONE, leaving=True), replace(ONE, status=type(ONE.status)("exited")), ONE):
            assert settled([HAND], [seen(container_)], frozenset(), 500.0) == [HAND]

    def test_it_ends_with_its_replica_or_service(self) -> None:
        assert settled([HAND], [seen(TWO)], frozenset(), 0.0) == []
        assert settled([HAND], [], frozenset(), 0.0) == []
        assert settled([HAND], [seen(replace(ONE, id="another"))], frozenset(), 0.0) == []

    @pytest.mark.parametrize("owner", ["web", Service("web", (), source=Source.LABELS).owner])
    def test_of_a_service_nothing_is_known_of_it_stays(self, owner: str) -> None:
        stop = replace(HAND, cause=Cause.STOP)
        assert settled([HAND, stop], [], {owner}, 0.0) == [HAND, stop]

    def test_static_ones_too(self) -> None:
        service = Service("web", (WEB,), endpoints=(StaticEndpoint(ip_address("10.0.0.1")),))
        item = seen(service=service)
        drain = drain_of("web", item.replicas[0], Cause.HAND, 0.0, 1.0)
        assert settled([drain], [item], frozenset(), 0.0) == [drain]
        assert next(iter(drained([item], [drain], 0.0))).replicas[0].state is ReplicaState.DRAINING


class TestBeginning:
    def test_again_changes_nothing(self) -> None:
        later = replace(HAND, since=110.0, deadline=140.0)
        assert begun([HAND], [later], is_new_deadline=False) == [HAND]

    def test_again_with_another_deadline_changes_that(self) -> None:
        cut = replace(HAND, cut=2)
        later = replace(HAND, since=150.0, deadline=160.0)
        assert begun([cut], [later], is_new_deadline=True) == [replace(HAND, deadline=160.0)]

    def test_one_that_is_stopping_can_be_drained_by_hand(self) -> None:
        stop = replace(HAND, cause=Cause.STOP)
        assert begun([stop], [replace(HAND, since=120.0)], is_new_deadline=False) == [HAND]

    def test_several_beside_others(self) -> None:
        two = replace(HAND, replica=TWO.id)
        assert by_key(begun([HAND], [two], is_new_deadline=False)) == by_key([HAND, two])


class TestTheDeadline:
    def test_when_it_is(self) -> None:
        never = replace(HAND, replica="x", deadline=math.inf)
        assert next_deadline([HAND, never], 110.0) == 130.0
        assert next_deadline([never], 110.0) == math.inf
        assert next_deadline([HAND], 130.0) == math.inf
        assert not is_due([HAND, never], 129.9)
        assert is_due([HAND, never], 130.0)
        assert not is_due([replace(HAND, cut=0)], 130.0)

    def test_only_flows_of_its_listeners_to_its_endpoints_end(self) -> None:
        item = judged(ONE, TWO, drains=[HAND], now=130.0)
        ruleset = plan([item])
        change = diff(ruleset, ruleset)
        assert not concerns_flows(change, [item], kept=frozenset(), thorough=False)
        expected = expect(
            change,
            [item],
            kept=frozenset(),
            containers=[ONE, TWO],
            overdue=overdue([item], [HAND], 130.0),
        )
        before = expect(change, [item], kept=frozenset(), containers=[ONE, TWO])
        host = Endpoint(ip_address("192.0.2.1"), 80)
        on_53, on_81 = Endpoint(host.address, 53), Endpoint(host.address, 81)
        tcp = Flow(Protocol.TCP, host, AT_ONE, is_ours=True, phase=Phase.ESTABLISHED)
        udp = Flow(Protocol.UDP, on_53, AT_ONE, is_ours=True)
        assert [expected.ends(tcp), expected.ends(udp)] == [True, True]
        assert [before.ends(tcp), before.ends(udp)] == [False, False]
        others = [
            replace(tcp, endpoint=AT_TWO),
            replace(udp, endpoint=AT_TWO),
            replace(tcp, listener=on_81),
            replace(tcp, is_ours=False),
        ]
        assert not any(map(expected.ends, others))

    def test_a_rollouts_ends_datagrams_alone_as_it_stops_the_replica(self) -> None:
        rolled = replace(HAND, cause=Cause.ROLLOUT)
        item = judged(ONE, TWO, drains=[rolled], now=130.0)
        ruleset = plan([item])
        expected = expect(
            diff(ruleset, ruleset),
            [item],
            kept=frozenset(),
            containers=[ONE, TWO],
            overdue=overdue([item], [rolled], 130.0),
            spared=spared([item], [rolled], 130.0),
        )
        host = ip_address("192.0.2.1")
        tcp = Flow(Protocol.TCP, Endpoint(host, 80), AT_ONE, is_ours=True, phase=Phase.ESTABLISHED)
        udp = Flow(Protocol.UDP, Endpoint(host, 53), AT_ONE, is_ours=True)
        assert [expected.ends(tcp), expected.ends(udp)] == [False, True]
        assert spared([item], [HAND], 130.0) == {}

    def test_an_endpoint_that_another_replica_has_too_stays(self) -> None:
        """Two names of one place (10.0.0.1 and 10.0.0.1:8080), and one of them drained."""
        both = (StaticEndpoint(ip_address("10.0.0.1")), StaticEndpoint(ip_address("10.0.0.1"), 8080))
        item = seen(service=Service("web", (WEB,), endpoints=both))
        drain = drain_of("web", item.replicas[0], Cause.HAND, 0.0, 1.0)
        (after,) = drained([item], [drain], 2.0)
        assert overdue([after], [drain], 2.0) == {}

    def test_what_it_cost_is_noted_connection_by_connection(self) -> None:
        two = replace(HAND, replica=TWO.id)
        item = judged(ONE, TWO, drains=[HAND, two], now=130.0)
        host = Endpoint(ip_address("192.0.2.1"), 80)
        tcp = Flow(Protocol.TCP, host, AT_ONE, is_ours=True, phase=Phase.ESTABLISHED)
        udp = Flow(Protocol.UDP, Endpoint(host.address, 53), AT_ONE, is_ours=True)
        ended = [tcp, tcp, udp, replace(tcp, endpoint=AT_TWO)]
        assert [drain.cut for drain in seen_to([HAND, two], [item], ended, 130.0)] == [2, 1]
        assert [drain.cut for drain in seen_to([HAND], [item], ended, 129.0)] == [None]
        assert [drain.cut for drain in seen_to([HAND], [], ended, 130.0)] == [None]
        assert [drain.cut for drain in seen_to([replace(HAND, cut=7)], [item], [], 131.0)] == [7]


@pytest.mark.parametrize(
    ("drain", "left", "said"),
    [
        (HAND, 12, "draining by hand: 12 connections left, 20 s to go"),
        (HAND, 1, "draining by hand: 1 connection left, 20 s to go"),
        (HAND, None, "draining by hand: 20 s to go"),
        (replace(HAND, deadline=math.inf), 0, "draining by hand: 0 connections left, no deadline"),
        (
            replace(HAND, cause=Cause.ROLLOUT, deadline=110.5),
            2,
            "draining for a rollout: 2 connections left, 1 s to go",
        ),
        (replace(HAND, cause=Cause.ROLLOUT, cut=0), 2, "draining for a rollout: 2 connections left, deadline over"),
        (replace(HAND, cause=Cause.STOP), 2, "stopping, its stop signal was sent: 2 connections left, 20 s to go"),
        (replace(HAND, cut=3), 0, "draining by hand: 0 connections left, 3 cut at the deadline"),
        (replace(HAND, cut=0), None, "draining by hand: deadline over"),
    ],
)
def test_in_words(drain: Drain, left: int | None, said: str) -> None:
    assert reason(drain, 110.0, left) == said

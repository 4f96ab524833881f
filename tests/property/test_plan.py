"""What a plan holds, whatever services and containers there are."""

from collections.abc import Iterable, Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from netshare.core.links import Link
from netshare.core.model import Container, Family, Replica, ReplicaState, Service
from netshare.core.plan import ServiceReplicas, families_of, plan
from netshare.core.ruleset import Match, Ruleset, Target
from netshare.core.selection import replicas
from tests.property.strategies import SERVICES, containers, links, rulesets, services


def judge(defined: Iterable[Service], running: Sequence[Container]) -> list[ServiceReplicas]:
    return [ServiceReplicas(service, tuple(replicas(service, running))) for service in defined]


worlds = st.builds(judge, services(), containers())


def matches_of(world: Iterable[ServiceReplicas]) -> set[Match]:
    return {
        Match(family, listener.protocol, listener.port, listener.address)
        for item in world
        for listener in item.service.listeners
        for family in families_of(listener)
    }


@given(services(), containers(), links, st.randoms())
def test_the_order_of_nothing_matters(
    defined: list[Service], running: list[Container], there: list[Link], random: Random
) -> None:
    expected = plan(judge(defined, running), links=there)
    for items in (defined, running, there):
        random.shuffle(items)
    assert plan(judge(defined, running), links=there) == expected


@given(worlds)
def test_ready_endpoints_get_one_slot_each_and_no_other_gets_any(world: list[ServiceReplicas]) -> None:
    planned = plan(world)
    assert set(planned.dispatches) == matches_of(world)
    for item in world:
        for listener in item.service.listeners:
            for family in families_of(listener):
                dispatch = planned.dispatches[Match(family, listener.protocol, listener.port, listener.address)]
                ready = {
                    endpoint
                    for replica in item.replicas
                    if replica.state is ReplicaState.READY
                    for endpoint in replica.endpoints[listener]
                    if endpoint.family is family
                }
                assert dispatch.service == item.service.name
                assert len(dispatch.slots) == len(set(dispatch.slots))
                assert set(dispatch.slots) == ready
                assert dispatch.strategy is (item.service.strategy if ready else None)


@given(worlds)
def test_whatever_is_not_gone_is_counted(world: list[ServiceReplicas]) -> None:
    expected = {
        Target(listener.protocol, endpoint)
        for item in world
        for replica in item.replicas
        if replica.state is not ReplicaState.GONE
        for listener, endpoints in replica.endpoints.items()
        for endpoint in endpoints
    }
    assert plan(world).targets == expected


@given(worlds, links)
def test_subnets_are_those_with_endpoints_and_none_lies_in_another(
    world: list[ServiceReplicas], there: list[Link]
) -> None:
    planned = plan(world, links=there)
    addresses = {target.endpoint.address for target in planned.targets}
    for network in planned.hairpins:
        assert any(address in network for address in addresses)
        others = planned.hairpins - {network}
        assert not any(network.network_address in other for other in others)
    for address in addresses:
        is_on_a_link = any(address in link.network for link in there)
        assert any(address in network for network in planned.hairpins) is is_on_a_link


@given(worlds, rulesets())
def test_what_is_held_means_nothing_where_everything_is_known(world: list[ServiceReplicas], held: Ruleset) -> None:
    assert plan(world, held=held) == plan(world)


@given(worlds, rulesets(), st.frozensets(st.sampled_from(SERVICES)))
def test_what_is_held_of_unknown_services_stays_and_the_known_ones_are_planned(
    world: list[ServiceReplicas], held: Ruleset, keep: frozenset[str]
) -> None:
    known = [item for item in world if item.service.name not in keep]
    alone, together = plan(known), plan(known, keep=keep, held=held)
    kept = {match: dispatch for match, dispatch in held.dispatches.items() if dispatch.service in keep}
    assert together.dispatches == {**kept, **alone.dispatches}
    assert alone.targets <= together.targets
    counted = {Target(m.protocol, endpoint) for m, d in together.dispatches.items() for endpoint in d.slots}
    assert counted <= together.targets


@given(services(), containers())
def test_a_service_is_planned_by_its_own_replicas_alone(defined: list[Service], running: list[Container]) -> None:
    together = plan(judge(defined, running))
    for service in defined:
        alone = plan(judge([service], running))
        assert alone.dispatches.items() <= together.dispatches.items()


@given(worlds)
def test_an_unready_replica_says_why_and_a_ready_one_has_a_way(world: list[ServiceReplicas]) -> None:
    def listeners_reached(replica: Replica) -> int:
        return sum(bool(endpoints) for endpoints in replica.endpoints.values())

    for item in world:
        for replica in item.replicas:
            if replica.state is ReplicaState.READY:
                assert replica.reason is None
                assert listeners_reached(replica) == len(item.service.listeners)
            else:
                assert replica.reason


@given(worlds)
def test_an_address_is_never_put_where_the_other_family_goes(world: list[ServiceReplicas]) -> None:
    for match, dispatch in plan(world).dispatches.items():
        assert {Family.of(endpoint.address) for endpoint in dispatch.slots} <= {match.family}

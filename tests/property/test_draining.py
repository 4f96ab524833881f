"""Whoever drains is given nothing, nobody else is touched by it, and taking it back leaves no trace."""

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from netshare.core.draining import Cause, Drain, begun, by_key, drain_of, drained, overdue, seen_to, settled
from netshare.core.health import Verdicts
from netshare.core.judging import judge
from netshare.core.model import Container, Replica, ReplicaState, Service
from netshare.core.plan import ServiceReplicas, plan
from netshare.core.selection import replicas
from tests.property.strategies import containers, services

NOW = 100.0


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[ServiceReplicas], list[Drain]]:
    """Draw services with their replicas, and drains of some of them."""
    running: list[Container] = draw(containers())
    seen = [ServiceReplicas(service, replicas(service, running)) for service in draw(services())]
    everyone = [(item.service, replica) for item in seen for replica in item.replicas]
    some = draw(st.lists(st.sampled_from(everyone), max_size=6)) if everyone else []
    return seen, list(by_key(drawn(draw, service, replica) for service, replica in some).values())


def drawn(draw: st.DrawFn, service: Service, replica: Replica) -> Drain:
    cause = draw(st.sampled_from(Cause))
    return drain_of(service.name, replica, cause, NOW - 10, NOW + draw(st.sampled_from((-5.0, 0.0, 5.0, float("inf")))))


def judged(seen: Iterable[ServiceReplicas], drains: Iterable[Drain]) -> list[ServiceReplicas]:
    return [
        replace(item, replicas=judge(item.service, item.replicas, Verdicts())) for item in drained(seen, drains, NOW)
    ]


@given(worlds())
def test_who_drains_is_in_no_slot(world: tuple[list[ServiceReplicas], list[Drain]]) -> None:
    seen, drains = world
    after = judged(seen, drains)
    keys = by_key(drains).keys()
    planned = plan(after)
    for item in after:
        for replica in item.replicas:
            if (item.service.name, replica.id) in keys:
                assert replica.state in (ReplicaState.DRAINING, ReplicaState.GONE)
                assert not any(replica.offers(listener) for listener in item.service.listeners)
        left = {e for r in item.replicas for listener in item.service.listeners for e in r.offers(listener)}
        slots = {e for d in planned.dispatches.values() if d.service == item.service.owner for e in d.slots}
        assert slots <= left


@given(worlds())
def test_others_are_not_touched_unless_they_have_to_stand_in(
    world: tuple[list[ServiceReplicas], list[Drain]],
) -> None:
    seen, drains = world
    keys = by_key(drains).keys()
    for before, after in zip(judged(seen, []), judged(seen, drains), strict=True):
        for one, other in zip(before.replicas, after.replicas, strict=True):
            if (before.service.name, one.id) not in keys:
                assert one.state is other.state
                assert all(set(one.offers(a)) <= set(other.offers(a)) for a in before.service.listeners)


@given(worlds())
def test_a_drain_that_is_taken_back_leaves_no_trace(world: tuple[list[ServiceReplicas], list[Drain]]) -> None:
    seen, drains = world
    noted = begun([], drains, is_new_deadline=False)
    assert by_key(noted) == by_key(drains)
    assert judged(seen, [each for each in noted if each not in drains]) == judged(seen, [])


@given(worlds())
def test_their_order_does_not_matter(world: tuple[list[ServiceReplicas], list[Drain]]) -> None:
    seen, drains = world
    assert judged(seen, drains) == judged(seen, list(reversed(drains)))
    assert overdue(seen, drains, NOW) == overdue(seen, list(reversed(drains)), NOW)


@given(worlds())
def test_to_settle_twice_is_to_settle_once(world: tuple[list[ServiceReplicas], list[Drain]]) -> None:
    seen, drains = world
    once = settled(drains, seen, frozenset(), NOW)
    assert settled(once, seen, frozenset(), NOW + 1) == once
    assert {each.key for each in once} <= {(item.service.name, r.id) for item in seen for r in item.replicas}
    assert {each for each in drains if each.cause is not Cause.STOP} <= set(once)


@given(worlds())
def test_every_deadline_that_is_over_is_seen_to_and_no_other(
    world: tuple[list[ServiceReplicas], list[Drain]],
) -> None:
    seen, drains = world
    for drain in seen_to(drains, seen, [], NOW):
        assert drain.cut == (0 if drain.deadline <= NOW else None)

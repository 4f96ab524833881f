"""Replicas that are given no new connection while those that are open go on, for a time.

A drain is begun by hand, by a rollout, or by whoever sends a container its stop signal. It is one replica's, by its id:
a container that is made anew under the same name has none. Begun on purpose it lasts until it is taken back or the
replica is no more, through a restart of the container too; begun by a stop signal, until the container has ended or
started again. At its deadline what is left ends.

A rollout's drain alone ends no connection: at its deadline the rollout stops the replica, which then has its own time
for what is left, as any server that is stopped (it answers what was asked, and closes). So no request is cut in two.

Times are seconds since the machine was started; a deadline that is infinite never comes.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum

from netshare.core.flows import Flow
from netshare.core.model import BY_LABELS, Endpoint, Listener, Protocol, Replica, ReplicaState
from netshare.core.plan import ServiceReplicas, matches_of
from netshare.core.ruleset import Match

Key = tuple[str, str]
"""What a drain is known by: the name of its service, and the id of its replica."""
Way = tuple[Protocol, int, Endpoint]
"""How a connection goes: its protocol, the listener's port, and who answers."""


class Cause(StrEnum):
    """Who wanted it."""

    HAND = "hand"
    ROLLOUT = "rollout"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Drain:
    """One replica of one service, by its id, and for people by its name.

    ``cut`` is how many connections were ended at the deadline; ``None``: it has not been seen to yet.
    """

    service: str
    replica: str
    name: str
    engine: str
    cause: Cause
    since: float
    deadline: float = math.inf
    cut: int | None = None

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.service, self.replica

    def to_go(self, now: float) -> float:
        """Seconds to its deadline; none where that is over."""
        return max(0.0, self.deadline - now)

    def is_overdue(self, now: float) -> bool:
        """Whether what is left has no business any more."""
        return now >= self.deadline


def by_key(drains: Iterable[Drain]) -> dict[Key, Drain]:
    """Give drains by what they are known by."""
    return {drain.key: drain for drain in drains}


def drain_of(service: str, replica: Replica, cause: Cause, since: float, deadline: float) -> Drain:
    """Make a replica's drain."""
    return Drain(service, replica.id, replica.name, replica.engine, cause, since, deadline)


def settled(drains: Sequence[Drain], services: Iterable[ServiceReplicas], kept: Set[str], now: float) -> list[Drain]:
    """Say which drains there are: of those noted, whose replica is there still, and those begun by a stop signal since.

    ``services`` are as their engines tell of them. ``kept`` are the owners about which nothing is known just now: their
    drains stay.
    """
    noted = by_key(drains)
    concerned = {service for service, _ in noted}
    found = [drain for drain in drains if drain.service in kept or f"{drain.service}{BY_LABELS}" in kept]
    for item in services:
        if item.service.is_static and item.service.name not in concerned:  # no engine stops these
            continue
        for replica in item.replicas:
            drain = _of(item, replica, noted.get((item.service.name, replica.id)), now)
            found += [drain] if drain else []
    return found


def _of(item: ServiceReplicas, replica: Replica, noted: Drain | None, now: float) -> Drain | None:
    if noted is not None and noted.cause is not Cause.STOP:
        return noted
    if replica.state is not ReplicaState.DRAINING:  # as an engine tells of it: its stop signal was sent
        return None
    return noted or drain_of(item.service.name, replica, Cause.STOP, now, now + replica.drain)


def drained(services: Iterable[ServiceReplicas], drains: Iterable[Drain], now: float) -> Iterator[ServiceReplicas]:
    """Take the replicas that drain out of rotation, before their health is looked at."""
    noted = by_key(drains)
    concerned = {service for service, _ in noted}
    for item in services:
        if item.service.name not in concerned:
            yield item
            continue
        replicas = [_drained(replica, noted.get((item.service.name, replica.id)), now) for replica in item.replicas]
        yield replace(item, replicas=replicas)


def _drained(replica: Replica, drain: Drain | None, now: float) -> Replica:
    if drain is None or replica.state is ReplicaState.GONE:
        return replica
    return replace(replica, state=ReplicaState.DRAINING, reason=reason(drain, now))


def overdue(services: Iterable[ServiceReplicas], drains: Iterable[Drain], now: float) -> dict[Match, Set[Endpoint]]:
    """Say where flows of each listener may not go any more: to replicas whose deadline is over.

    ``services`` are judged: an endpoint that is given new connections on another replica's account stays.
    """
    late = {drain.key for drain in drains if drain.is_overdue(now)}
    found: dict[Match, Set[Endpoint]] = {}
    for item in services if late else ():
        for listener in item.service.listeners:
            left = frozenset(_left_behind(item, listener, late))
            for match in matches_of(listener) if left else ():
                found[match] = frozenset(endpoint for endpoint in left if endpoint.family is match.family)
    return found


def spared(services: Iterable[ServiceReplicas], drains: Iterable[Drain], now: float) -> dict[Match, Set[Endpoint]]:
    """Say where the connections of each listener go on all the same, as a rollout ends them by stopping the replica."""
    return overdue(services, [drain for drain in drains if drain.cause is Cause.ROLLOUT], now)


def _left_behind(item: ServiceReplicas, listener: Listener, late: Set[Key]) -> Set[Endpoint]:
    wanted = {endpoint for replica in item.replicas for endpoint in replica.offers(listener)}
    left = {
        endpoint
        for replica in item.replicas
        if (item.service.name, replica.id) in late
        for endpoint in replica.endpoints.get(listener, ())
    }
    return left - wanted


def is_due(drains: Iterable[Drain], now: float) -> bool:
    """Whether something has to be seen to: a deadline is over, and what was left has not been ended."""
    return any(drain.cut is None and drain.is_overdue(now) for drain in drains)


def next_deadline(drains: Iterable[Drain], now: float) -> float:
    """Give the next deadline that lies ahead; infinite where there is none."""
    return min((drain.deadline for drain in drains if not drain.is_overdue(now)), default=math.inf)


def seen_to(
    drains: Iterable[Drain], services: Sequence[ServiceReplicas], ended: Iterable[Flow], now: float
) -> list[Drain]:
    """Note how many connections each deadline that is over has cost; only of services that are known."""
    flows = [flow for flow in ended if flow.is_connection]
    items = {item.service.name: item for item in services}
    return [
        replace(drain, cut=_cut(drain, items[drain.service], flows))
        if drain.cut is None and drain.is_overdue(now) and drain.service in items
        else drain
        for drain in drains
    ]


def _cut(drain: Drain, item: ServiceReplicas, flows: Iterable[Flow]) -> int:
    own = {way for replica in item.replicas if replica.id == drain.replica for way in ways_to(replica)}
    return sum((flow.protocol, flow.listener.port, flow.endpoint) in own for flow in flows)


def ways_to(replica: Replica) -> frozenset[Way]:
    """Name the ways by which a service's connections go to a replica; another service of the same one has others."""
    return frozenset(
        (listener.protocol, listener.port, endpoint)
        for listener, endpoints in replica.endpoints.items()
        for endpoint in endpoints
    )


def begun(drains: Iterable[Drain], wanted: Iterable[Drain], *, is_new_deadline: bool) -> list[Drain]:
    """Begin drains; one that was begun before keeps its beginning, and its deadline unless there is to be a new one."""
    after = by_key(drains)
    for drain in wanted:
        before = after.get(drain.key)
        if before is None:
            after[drain.key] = drain
        elif is_new_deadline:
            after[drain.key] = replace(drain, since=before.since)
        else:
            after[drain.key] = replace(before, cause=drain.cause)
    return list(after.values())


def reason(drain: Drain, now: float, left: int | None = None) -> str:
    """Say why a replica gets no new connection, and how it stands: ``left`` is how many it has still, if known."""
    facts = [] if left is None else ["1 connection left" if left == 1 else f"{left} connections left"]
    if drain.cut is not None:
        facts.append(f"{drain.cut} cut at the deadline" if drain.cut else "deadline over")
    elif math.isfinite(drain.deadline):
        facts.append(f"{math.ceil(drain.to_go(now))} s to go")
    else:
        facts.append("no deadline")
    return f"{_WORDS[drain.cause]}: {', '.join(facts)}"


_WORDS: Mapping[Cause, str] = {
    Cause.HAND: "draining by hand",
    Cause.ROLLOUT: "draining for a rollout",
    Cause.STOP: "stopping, its stop signal was sent",
}

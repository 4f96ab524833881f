"""From services and their replicas to the ruleset: who is given which new connection."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from netshare.core.links import Link, in_use, without_nested
from netshare.core.model import NFTABLES, Endpoint, Family, Listener, Replica, ReplicaState, Service, Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.core.slots import table

_Ready = tuple[tuple[Endpoint, int], ...]
"""Endpoints that may be given connections, and their weights."""
_Dispatches = Mapping[Match, Dispatch]


@dataclass(frozen=True, slots=True)
class ServiceReplicas:
    """A service and every replica it has, ready or not."""

    service: Service
    replicas: Sequence[Replica]


@dataclass(slots=True)
class _Memory:
    """What the last plan came to, listener by listener, and from what: few change from one plan to the next.

    What was not asked for again is forgotten at once. Containers come and go for months, and a table by source hash
    has 130 kB.
    """

    outcomes: Mapping[tuple[str, Listener], tuple[tuple[Strategy, _Ready, str], _Dispatches]] = field(
        default_factory=dict
    )


_MEMORY = _Memory()


def plan(
    services: Iterable[ServiceReplicas],
    *,
    links: Iterable[Link] = (),
    keep: Set[str] = frozenset(),
    held: Ruleset | None = None,
    place: Callable[[Service], str] = lambda service: service.placed(NFTABLES),
) -> Ruleset:
    """Compute what the kernel should hold on a host that is directly on these links.

    ``place`` names the driver that is to program a service.

    ``keep`` names owners of services about which nothing is known just now (their engine is silent, their definition
    can't be read): what ``held`` has of them stays as it is.
    """
    dispatches: dict[Match, Dispatch] = {}
    targets: set[Target] = set()
    before, outcomes = _MEMORY.outcomes, {}
    for item in services:
        for listener in item.service.listeners:
            owner, asked = item.service.owner, _asked(item, listener, place(item.service))
            known = before.get((owner, listener))
            # Equal by identity, mostly: what did not change is the same object.
            outcome = known if known and known[0] == asked else (asked, _planned(owner, listener, *asked))
            outcomes[owner, listener] = outcome
            dispatches.update(outcome[1])
            targets.update(targets_of(item, listener))
    _MEMORY.outcomes = outcomes
    if held is not None and keep:
        kept = {m: d for m, d in held.dispatches.items() if d.service in keep and m not in dispatches}
        dispatches.update(kept)
        targets.update(Target(m.protocol, endpoint) for m, d in kept.items() for endpoint in d.slots)
        targets.update(held.targets)  # those in no slot are of draining replicas, and the kernel does not tell whose
    used = in_use(links, (target.endpoint.address for target in targets))
    return Ruleset(dispatches, frozenset(targets), without_nested(link.network for link in used))


def _asked(item: ServiceReplicas, listener: Listener, driver: str) -> tuple[Strategy, _Ready, str]:
    ready = tuple((endpoint, replica.weight) for replica in item.replicas for endpoint in replica.offers(listener))
    return item.service.strategy, ready, driver


def _planned(owner: str, listener: Listener, strategy: Strategy, ready: _Ready, driver: str) -> _Dispatches:
    """Plan a dispatch for each family the listener has; a family with no ready endpoint refuses."""
    weights = dict(ready)
    return {match: _dispatch(owner, strategy, match.family, weights, driver) for match in matches_of(listener)}


def families_of(listener: Listener) -> tuple[Family, ...]:
    """List the families a listener has: that of its address, or all."""
    return tuple(Family) if listener.address is None else (Family.of(listener.address),)


def matches_of(listener: Listener) -> tuple[Match, ...]:
    """Say what connections to a listener are known by: once a family."""
    return tuple(Match(family, listener.protocol, listener.port, listener.address) for family in families_of(listener))


def _dispatch(owner: str, strategy: Strategy, family: Family, ready: Mapping[Endpoint, int], driver: str) -> Dispatch:
    slots = table(strategy, {endpoint: ready[endpoint] for endpoint in ready if endpoint.family is family})
    return Dispatch(owner, strategy if slots else None, slots, driver)


def targets_of(item: ServiceReplicas, listener: Listener) -> Iterable[Target]:
    """Count an endpoint's connections from when its replica is seen until it is gone."""
    for replica in item.replicas:
        if replica.state is not ReplicaState.GONE:
            for endpoint in replica.endpoints.get(listener, ()):
                yield Target(listener.protocol, endpoint)


def targets(replica: Replica) -> frozenset[Target]:
    """Name what of a replica is counted."""
    return frozenset(
        Target(listener.protocol, endpoint)
        for listener, endpoints in replica.endpoints.items()
        for endpoint in endpoints
    )

"""From services and their replicas to the ruleset: who is given which new connection."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

from netshare.core.links import Link, in_use, without_nested
from netshare.core.model import NFTABLES, Endpoint, Family, Listener, Replica, ReplicaState, Service, Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.core.slots import table

_REMEMBERED = 1 << 16
"""More than there are services: they are gone through in order, so a smaller memory would never know the next one."""


@dataclass(frozen=True, slots=True)
class ServiceReplicas:
    """A service and every replica it has, ready or not."""

    service: Service
    replicas: Sequence[Replica]


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
    for item in services:
        for listener in item.service.listeners:
            dispatches.update(_dispatches(item, listener, place(item.service)))
            targets.update(targets_of(item, listener))
    if held is not None and keep:
        kept = {m: d for m, d in held.dispatches.items() if d.service in keep and m not in dispatches}
        dispatches.update(kept)
        targets.update(Target(m.protocol, endpoint) for m, d in kept.items() for endpoint in d.slots)
        targets.update(held.targets)  # those in no slot are of draining replicas, and the kernel does not tell whose
    used = in_use(links, (target.endpoint.address for target in targets))
    return Ruleset(dispatches, frozenset(targets), without_nested(link.network for link in used))


def _dispatches(item: ServiceReplicas, listener: Listener, driver: str) -> Mapping[Match, Dispatch]:
    """Plan a dispatch for each family the listener has; a family with no ready endpoint refuses."""
    ready = tuple((endpoint, replica.weight) for replica in item.replicas for endpoint in replica.offers(listener))
    return _planned(item.service.owner, item.service.strategy, listener, ready, driver)


@lru_cache(maxsize=_REMEMBERED)
def _planned(
    owner: str, strategy: Strategy, listener: Listener, ready: tuple[tuple[Endpoint, int], ...], driver: str
) -> Mapping[Match, Dispatch]:
    """Plan one listener; remembered, as of many services few change between two reconciles, and equal by identity."""
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

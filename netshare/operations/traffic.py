"""Which replicas the kernel really gives new connections to: the judged ones held against what was read back."""

from collections.abc import Iterator
from dataclasses import replace

from netshare.core.model import Endpoint, Family, Listener, Replica, ReplicaState, Service
from netshare.core.plan import ServiceReplicas
from netshare.core.ruleset import Match, Ruleset
from netshare.netfilter.driver import Observation

NOT_IN_KERNEL = "not in the kernel yet: run `netshare sync` or keep `netshare agent` running"


def held_by(observation: Observation) -> Ruleset:
    """Give what really takes effect: where the fixed part is damaged, no map is looked at."""
    return observation.ruleset if observation.intact else Ruleset()


def against_kernel(item: ServiceReplicas, held: Ruleset) -> tuple[Replica, ...]:
    """Call no replica ready that the kernel does not give connections to, unless its weight says so."""
    return tuple(_against_kernel(item.service, replica, held) for replica in item.replicas)


def from_kernel(service: Service, held: Ruleset, reason: str) -> tuple[Replica, ...]:
    """Make replicas of what the kernel holds, where nothing else tells of them."""
    found: dict[str, dict[Listener, tuple[Endpoint, ...]]] = {}
    for listener in service.listeners:
        for family in Family:
            dispatch = held.dispatches.get(_match(listener, family))
            for endpoint in dispatch.slots if dispatch and dispatch.service == service.owner else ():
                ways = found.setdefault(str(endpoint.address), {})
                ways[listener] = (*ways.get(listener, ()), endpoint)
    engine = service.engine or "unknown"
    return tuple(
        Replica(name, "", engine, ReplicaState.READY, endpoints, reason=reason) for name, endpoints in found.items()
    )


def reachable(replica: Replica) -> Iterator[tuple[Listener, Endpoint]]:
    """Give the ways from a listener to a replica: a listener on an IPv4 address has none to an IPv6 one."""
    for listener, endpoints in replica.endpoints.items():
        for endpoint in endpoints:
            if listener.address is None or Family.of(listener.address) is endpoint.family:
                yield listener, endpoint


def _against_kernel(service: Service, replica: Replica, held: Ruleset) -> Replica:
    if replica.state is not ReplicaState.READY:
        return replica
    if not any(reachable(replica)):
        return replace(replica, state=ReplicaState.UNHEALTHY, reason=no_way(replica))
    ways = [(listener, endpoint) for listener, endpoint in reachable(replica) if endpoint in replica.offers(listener)]
    if not replica.weight or all(_is_held(service, listener, endpoint, held) for listener, endpoint in ways):
        return replica
    return replace(replica, state=ReplicaState.STARTING, reason=NOT_IN_KERNEL)


def no_way(replica: Replica) -> str:
    """Say why no listener reaches a replica that has addresses."""
    listeners = ", ".join(map(str, replica.endpoints))
    return f"none of its addresses is of the family of a listener ({listeners})"


def _is_held(service: Service, listener: Listener, endpoint: Endpoint, held: Ruleset) -> bool:
    dispatch = held.dispatches.get(_match(listener, endpoint.family))
    return dispatch is not None and dispatch.service == service.owner and endpoint in dispatch.slots


def _match(listener: Listener, family: Family) -> Match:
    return Match(family, listener.protocol, listener.port, listener.address)

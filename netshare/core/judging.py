"""Which replicas are well, and whom new connections may be given.

Those that are well; or, where a listener has none of them, all that are not (fail open). What probes have told is in
`netshare.core.health`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from types import MappingProxyType

from netshare.core.health import Probe, Standing, Verdict, Verdicts
from netshare.core.model import (
    CheckKind,
    Endpoint,
    FailMode,
    Family,
    Health,
    HealthCheck,
    Listener,
    Protocol,
    Replica,
    ReplicaState,
    Service,
)
from netshare.core.ruleset import Ruleset

FAIL_OPEN = "unhealthy, but so are all: still serving (fail open)"
NOT_PASSED_YET = "its health check has not passed yet"
NOT_LISTENING_YET = "it takes no connections yet"


def probes_of(service: Service, replica: Replica) -> Iterator[Probe]:
    """List what has to be asked about a replica."""
    if replica.state is ReplicaState.GONE or not (service.health.is_probed or _is_unchecked(service, replica)):
        return
    asked = {
        endpoint
        for listener, each in _pairs(replica)
        for endpoint in _asked_for(service.health, listener, each, replica)
    }
    for endpoint in asked:
        yield Probe(service.name, replica.id, endpoint, service.health)


def may_be_probed(service: Service) -> bool:
    """Whether there may be anything to ask about replicas of a service."""
    return service.health.is_probed or (service.health.kind is CheckKind.ENGINE and not service.is_static)


def _is_unchecked(service: Service, replica: Replica) -> bool:
    """Whether nobody says when a container that runs begins to listen: its image has no HEALTHCHECK."""
    return service.health.kind is CheckKind.ENGINE and not service.is_static and replica.health is Health.NONE


def _pairs(replica: Replica) -> Iterator[tuple[Listener, Endpoint]]:
    """Pair every listener with the replica's endpoints that it can reach: one on an IPv4 address, with no IPv6 one."""
    for listener, endpoints in replica.endpoints.items():
        for endpoint in endpoints:
            if listener.address is None or Family.of(listener.address) is endpoint.family:
                yield listener, endpoint


def _asked_for(check: HealthCheck, listener: Listener, endpoint: Endpoint, replica: Replica) -> Iterable[Endpoint]:
    """Say where to knock to learn about an endpoint.

    A probe is a TCP connection: an endpoint for datagrams goes by the replica's TCP port of the same number, else by
    all its TCP ports on that address. Where there is no check, only who is given connections has to take one.
    """
    if not check.is_probed:
        return [endpoint] if listener.protocol is Protocol.TCP else []
    if check.port is not None:
        return [Endpoint(endpoint.address, check.port)]
    if listener.protocol is Protocol.TCP:
        return [endpoint]
    knocked = {
        each
        for other, endpoints in replica.endpoints.items()
        if other.protocol is Protocol.TCP
        for each in endpoints
        if each.address == endpoint.address
    }
    return {endpoint} if endpoint in knocked else knocked


@dataclass(frozen=True, slots=True)
class _Way:
    """A way from a listener to an endpoint of a replica, and what is thought of it."""

    listener: Listener
    endpoint: Endpoint
    standing: Standing
    reason: str | None = None


def judge(
    service: Service,
    replicas: Sequence[Replica],
    verdicts: Verdicts,
    serving: Set[Endpoint] = frozenset(),
) -> tuple[Replica, ...]:
    """Judge a service's replicas by their health, after all else was judged.

    ``serving`` are the endpoints that are given the service's new connections now. Not to know is no reason to change
    that: one that has them keeps them, and one that hasn't waits for its first success. Where nobody probes, all that
    nothing bad is known of are taken as well.
    """
    if not service.health.is_probed and not any(
        _is_felled(each) or (verdicts.is_probed and _is_new(service, each, serving)) for each in replicas
    ):
        return tuple(replicas)
    ways = [list(_ways(service, replica, verdicts, serving)) for replica in replicas]
    fine = {
        (way.listener, way.endpoint.family)
        for replica, own in zip(replicas, ways, strict=True)
        for way in own
        if way.standing is Standing.HEALTHY and replica.weight > 0
    }
    if not service.health.is_probed:
        ways = [[_without_others(way, fine) for way in own] for own in ways]
    return tuple(_judged(service, replica, own, fine) for replica, own in zip(replicas, ways, strict=True))


def endpoints_served(held: Ruleset) -> dict[str, set[Endpoint]]:
    """Tell which endpoints are given new connections now, by the owner of their service."""
    served: dict[str, set[Endpoint]] = {}
    for dispatch in held.dispatches.values():
        served.setdefault(dispatch.service, set()).update(dispatch.slots)
    return served


def is_failing_open(replica: Replica) -> bool:
    """Whether a replica is given new connections for no better reason than that all others are no better."""
    return replica.state is ReplicaState.UNHEALTHY and any(map(replica.offers, replica.endpoints))


def _is_felled(replica: Replica) -> bool:
    """Whether its engine calls it unhealthy, and nothing else is wrong with it."""
    return replica.state is ReplicaState.UNHEALTHY and replica.health is Health.UNHEALTHY


def _is_new(service: Service, replica: Replica, serving: Set[Endpoint]) -> bool:
    """Whether it would be given connections for the first time, and nobody says that it takes any."""
    return _is_unchecked(service, replica) and any(
        endpoint not in serving for endpoints in replica.endpoints.values() for endpoint in endpoints
    )


def _without_others(way: _Way, fine: Set[tuple[Listener, Family]]) -> _Way:
    """Take one that nobody checks at once where there is no other: if it doesn't listen, clients are refused anyway."""
    is_alone = way.standing is Standing.UNKNOWN and (way.listener, way.endpoint.family) not in fine
    return replace(way, standing=Standing.HEALTHY, reason=None) if is_alone else way


def _ways(service: Service, replica: Replica, verdicts: Verdicts, serving: Set[Endpoint]) -> Iterator[_Way]:
    """List the ways to a replica that only its health can close."""
    is_felled = _is_felled(replica)
    if replica.state is not ReplicaState.READY and not is_felled:
        return
    for listener, endpoint in _pairs(replica):
        if is_felled:
            yield _Way(listener, endpoint, Standing.UNHEALTHY, replica.reason)
            continue
        if not service.health.is_probed and not _is_unchecked(service, replica):
            yield _Way(listener, endpoint, Standing.HEALTHY)
            continue
        asked = _asked_for(service.health, listener, endpoint, replica)
        known = [
            verdicts.by_probe.get(Probe(service.name, replica.id, each, service.health), Verdict())
            for each in sorted(asked, key=lambda each: each.port)
        ]
        benefit = endpoint in serving or not verdicts.is_probed
        lacking = NOT_PASSED_YET if service.health.is_probed else NOT_LISTENING_YET
        yield _Way(listener, endpoint, *_worst(known, lacking, benefit=benefit))


def _worst(verdicts: Iterable[Verdict], lacking: str, *, benefit: bool) -> tuple[Standing, str | None]:
    """Sum up verdicts; ``benefit`` is whether those who are not known get the benefit of the doubt.

    ``lacking`` says what those others still lack.
    """
    worst: tuple[Standing, str | None] = Standing.HEALTHY, None
    for verdict in verdicts:
        match verdict.standing:
            case Standing.UNHEALTHY:
                return Standing.UNHEALTHY, f"its health check fails: {verdict.reason}"
            case Standing.UNKNOWN if not benefit:
                failing = f": {verdict.reason}" if verdict.reason else ""
                worst = Standing.UNKNOWN, f"{lacking}{failing}"
            case _:
                pass
    return worst


def _judged(service: Service, replica: Replica, ways: Sequence[_Way], fine: Set[tuple[Listener, Family]]) -> Replica:
    if all(way.standing is Standing.HEALTHY for way in ways):
        return replica
    offered: dict[Listener, tuple[Endpoint, ...]] = {}
    is_open = False
    for way in ways:
        opened = (
            way.standing is Standing.UNHEALTHY
            and service.fail is FailMode.OPEN
            and (way.listener, way.endpoint.family) not in fine
        )
        if way.standing is Standing.HEALTHY or opened:
            offered[way.listener] = (*offered.get(way.listener, ()), way.endpoint)
        is_open = is_open or opened
    standings = {way.standing for way in ways}
    state = next(state for standing, state in _STATES.items() if standing in standings)
    worst = min(ways, key=lambda way: _WORST_FIRST.index(way.standing))
    reason = worst.reason
    if state is ReplicaState.READY:
        reason = f"{worst.endpoint}: {reason}"
    elif is_open:
        reason = f"{reason}; {FAIL_OPEN}"
    return replace(replica, state=state, reason=reason, offered=offered)


_STATES: Mapping[Standing, ReplicaState] = MappingProxyType(
    {
        Standing.HEALTHY: ReplicaState.READY,
        Standing.UNHEALTHY: ReplicaState.UNHEALTHY,
        Standing.UNKNOWN: ReplicaState.STARTING,
    }
)
"""What a replica is by its endpoints: the first of these that one of them is."""
_WORST_FIRST = (Standing.UNHEALTHY, Standing.UNKNOWN, Standing.HEALTHY)

"""Which tracked flows must end, because the kernel would go on with them in a way that is no longer wanted.

NAT is decided by a flow's first packet and kept for as long as its conntrack entry lives. A connection ends by itself,
so that is what lets connections drain; but a client that sends UDP from one port renews its entry with every packet,
and would stay with a dead replica, or with the host itself, for ever. Three rules:

* datagrams, and SCTP associations that are not established (their clients try again from the same port), may only go
  where their listener's service has a replica now: a ready or a draining one, or, while none is ready, any;
* connections are left alone until their replica is gone for good, or its time to drain is over: neither ``detach`` nor
  another list of endpoints cuts one;
* connections that are over are forgotten once their container is given no more. Conntrack remembers each for two
  minutes, and when the container ends, Docker deletes all of them, one by one, by the client's address and port alone
  (libnetwork's clearConntrackEntries): a client that has come again from that port by then, and talks to another
  replica, would lose its connection.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from netshare.core.diff import Change
from netshare.core.model import Container, Endpoint, Family, IPAddress, Listener, Protocol, ReplicaState
from netshare.core.plan import ServiceReplicas, families_of, targets_of
from netshare.core.ruleset import Match, Target
from netshare.core.selection import LIVE

_NOWHERE: Mapping[Match, Set[Endpoint]] = MappingProxyType({})


class Phase(StrEnum):
    """Where a connection or association is in its life."""

    OPENING = "opening"
    ESTABLISHED = "established"
    CLOSING = "closing"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Flow:
    """A tracked flow, by all that its fate depends on; who the client is does not matter.

    ``listener`` is what the client sends to, ``endpoint`` who answers: the same where nothing was rewritten. It
    ``is_ours`` if it went through netshare's rules, and ``is_local`` if the listener's address is the host's own.
    A datagram flow has no ``phase``.
    """

    protocol: Protocol
    listener: Endpoint
    endpoint: Endpoint
    is_ours: bool
    is_local: bool = True
    phase: Phase | None = None

    @property
    def is_connection(self) -> bool:
        """Whether ending it would break something that both sides believe in."""
        return self.protocol is Protocol.TCP or self.phase in (Phase.ESTABLISHED, Phase.CLOSING)

    @property
    def is_over(self) -> bool:
        """Whether it is a connection that has ended; an association that begins is CLOSED to conntrack as well."""
        return self.is_connection and self.phase is Phase.OVER


@dataclass(frozen=True, slots=True)
class Expectation:
    """What flows may go on, by what a reconcile found out.

    ``reachable`` has the endpoints that flows of a listener may go on with, where its service is known just now;
    ``watched`` are those of its listeners whose replicas an engine tells of. ``fresh`` listeners were just added, and
    flows may have passed them by. ``living`` are the addresses of all containers that are not gone. ``overdue`` has the
    endpoints whose time to drain is over: no flow of a listener may go on with them, except connections with those that
    are ``spared`` too. ``offered`` has those that a listener's new connections are given.
    """

    listeners: Set[Match]
    removed: Set[Match]
    fresh: Set[Match]
    reachable: Mapping[Match, Set[Endpoint]]
    watched: Set[Match]
    living: Set[IPAddress]
    is_complete: bool
    overdue: Mapping[Match, Set[Endpoint]] = field(default_factory=lambda: _NOWHERE)
    spared: Mapping[Match, Set[Endpoint]] = field(default_factory=lambda: _NOWHERE)
    offered: Mapping[Match, Set[Endpoint]] = field(default_factory=lambda: _NOWHERE)

    @property
    def ports(self) -> Set[tuple[Protocol, int]]:
        """Where flows that are not netshare's matter; a host may track hundreds of thousands of those."""
        return {(match.protocol, match.port) for match in self.fresh}

    def ends(self, flow: Flow) -> bool:
        """Whether a flow must end."""
        match = _listener_of(flow, self.listeners)
        if not flow.is_ours:
            return flow.is_local and match in self.fresh and not flow.is_connection
        if flow.is_over:
            return match is not None and match in self.watched and flow.endpoint not in self.offered.get(match, ())
        if match is not None and flow.endpoint in self.overdue.get(match, ()):
            return not (flow.is_connection and flow.endpoint in self.spared.get(match, ()))
        if flow.is_connection:
            return self._is_gone(match, flow.endpoint)
        if match is None:
            # While some service is unknown, a listener may be missing from the ruleset for that reason alone.
            is_known = self.is_complete or _listener_of(flow, self.removed) is not None
            return is_known and flow.endpoint != flow.listener
        return match in self.reachable and flow.endpoint not in self.reachable[match]

    def _is_gone(self, match: Match | None, endpoint: Endpoint) -> bool:
        """Whether a listener's replica is gone, and not just no longer wanted: only an engine can tell."""
        if match is None or match not in self.watched:
            return False
        return endpoint not in self.reachable[match] and endpoint.address not in self.living


def _listener_of(flow: Flow, listeners: Set[Match]) -> Match | None:
    """Find the listener a flow came in by: as in the kernel, one on its address goes before one on all of them."""
    address, port = flow.listener.address, flow.listener.port
    for bound in (address, None):
        match = Match(Family.of(address), flow.protocol, port, bound)
        if match in listeners:
            return match
    return None


def concerns_flows(
    change: Change,
    services: Iterable[ServiceReplicas],
    *,
    kept: Set[str],
    thorough: bool,
) -> bool:
    """Whether a change is a reason to look at flows at all; most are not.

    ``kept`` names the services that are not known just now, ``thorough`` mistrusts what was done before.
    """
    if thorough or change.rebuild:
        return bool(change.before.dispatches or change.after.dispatches)
    return (
        any(map(_sticks, change.added))
        or any(map(_sticks, change.removed))
        or any(_sticks(match) and old.slots != new.slots for match, (old, new) in change.altered.items())
        or bool(_abandoned(change, services, kept))
        or _has_left(change, services)
    )


def _sticks(match: Match) -> bool:
    """Whether clients may stay with a wrong endpoint by sending on."""
    return match.protocol is not Protocol.TCP


def _abandoned(change: Change, services: Iterable[ServiceReplicas], kept: Set[str]) -> Set[Target]:
    """Find what flows may still go to although no replica that is known is there.

    With nothing kept these are the targets removed. Otherwise every target stays in the ruleset, and those of the
    known services that are gone have to be found here.
    """
    if not kept:
        return change.targets_removed
    of_unknown = {
        Target(match.protocol, endpoint)
        for match, dispatch in change.after.dispatches.items()
        if dispatch.service in kept
        for endpoint in dispatch.slots
    }
    of_known = {
        target for item in services for listener in item.service.listeners for target in targets_of(item, listener)
    }
    return change.before.targets - of_unknown - of_known


def _has_left(change: Change, services: Iterable[ServiceReplicas]) -> bool:
    """Whether a container that drains is given no more connections from now on."""
    out = {e for old, new in change.altered.values() if old.slots != new.slots for e in {*old.slots} - {*new.slots}}
    return bool(out) and any(
        replica.state is ReplicaState.DRAINING and not out.isdisjoint(endpoints)
        for item in services
        if not item.service.is_static
        for replica in item.replicas
        for endpoints in replica.endpoints.values()
    )


def expect(
    change: Change,
    services: Sequence[ServiceReplicas],
    *,
    kept: Set[str],
    containers: Iterable[Container],
    overdue: Mapping[Match, Set[Endpoint]] = _NOWHERE,
    spared: Mapping[Match, Set[Endpoint]] = _NOWHERE,
    thorough: bool = False,
) -> Expectation:
    """Say what is expected of flows once a change is in the kernel."""
    reachable: dict[Match, Set[Endpoint]] = {}
    watched: dict[Match, bool] = {}
    for item in services:
        for listener in item.service.listeners:
            for family in families_of(listener):
                match = Match(family, listener.protocol, listener.port, listener.address)
                reachable[match] = _reachable(item, listener, family)
                watched[match] = not item.service.is_static
    after = change.after.dispatches
    return Expectation(
        listeners=after.keys(),
        removed=change.removed.keys(),
        fresh=set(filter(_sticks, after if thorough or change.rebuild else change.added)),
        reachable=reachable,
        watched={match for match, by_engine in watched.items() if by_engine},
        living=frozenset(
            address
            for container in containers
            if container.status in LIVE
            for attachment in container.attachments
            for address in attachment.addresses
        ),
        is_complete=not kept,
        overdue=overdue,
        spared=spared,
        offered={match: frozenset(dispatch.slots) for match, dispatch in after.items() if match in reachable},
    )


def _reachable(item: ServiceReplicas, listener: Listener, family: Family) -> Set[Endpoint]:
    """Find where flows may go on: one that stays with an unhealthy replica has better places only if some is ready."""
    found: dict[ReplicaState, set[Endpoint]] = {state: set() for state in ReplicaState}
    for replica in item.replicas:
        found[replica.state] |= {e for e in replica.endpoints.get(listener, ()) if e.family is family}
    well = found[ReplicaState.READY] | found[ReplicaState.DRAINING]
    return well if found[ReplicaState.READY] else well | found[ReplicaState.UNHEALTHY] | found[ReplicaState.STARTING]


NOTHING = Expectation(
    listeners=frozenset(),
    removed=frozenset(),
    fresh=frozenset(),
    reachable={},
    watched=frozenset(),
    living=frozenset(),
    is_complete=True,
)
"""What is expected when netshare leaves: every datagram flow it directed ends, and no connection."""

"""``attach``: put a service's replicas behind a port of this host, and wait until one takes traffic."""

from dataclasses import dataclass

from netshare.core import selection
from netshare.core.model import Listener, Replica, Service
from netshare.core.obstacle import in_the_way
from netshare.host import Host
from netshare.known import engines_of
from netshare.netfilter.rivals import Sockets
from netshare.operations import candidates, conflicts
from netshare.operations.change import Change, commit
from netshare.operations.control import Agent, AgentControl, Clock
from netshare.operations.request import AttachRequest, requested_listeners, updated
from netshare.operations.waiting import Progress, look, wait_for_traffic
from netshare.operations.weight import resolved, weighted
from netshare.reconcile import prepare
from netshare.store.protocol import Definitions


@dataclass(frozen=True, slots=True)
class Attached:
    """A service as it is served now; ``listeners`` are those that were asked for."""

    service: Service
    listeners: tuple[Listener, ...]
    replicas: tuple[Replica, ...]
    changed: bool
    warnings: tuple[str, ...]
    agent: Agent


@dataclass(frozen=True, slots=True)
class _Proposal:
    """What would be saved, checked against everything that could speak against it."""

    before: Service | None
    service: Service
    listeners: tuple[Listener, ...]
    definitions: Definitions
    warnings: tuple[str, ...]

    @property
    def is_change(self) -> bool:
        return self.service != self.before


def attach(
    host: Host,
    agent: AgentControl,
    sockets: Sockets,
    request: AttachRequest,
    *,
    clock: Clock,
    progress: Progress,
) -> Attached:
    """Save the definition, bring it to the kernel, and wait until a replica takes traffic.

    Raises:
        WaitTimeoutError: none did in time; the definition stays.
        NetshareError: anything else; the definitions are what they were before.

    """
    with host.lock():
        proposal = _propose(host, sockets, request)
        if proposal.is_change:
            host.store.save(proposal.service)
    warnings = commit(host, agent, [Change(request.name, proposal.before, proposal.service)])
    timeout = request.timeout if request.wait else None
    replicas = (
        look(host, agent, request.name)
        if timeout is None
        else wait_for_traffic(lambda: look(host, agent, request.name), request.name, timeout, clock, progress)
    )
    return Attached(
        proposal.service,
        proposal.listeners,
        replicas,
        proposal.is_change,
        (*proposal.warnings, *warnings, *_obstacles(host, replicas)),
        Agent(agent.pid()),
    )


def _obstacles(host: Host, replicas: tuple[Replica, ...]) -> tuple[str, ...]:
    """Say what others' firewalls drop on the way to these replicas."""
    endpoints = (endpoint for replica in replicas for each in replica.endpoints.values() for endpoint in each)
    families = frozenset(endpoint.family for endpoint in endpoints)
    return tuple(map(str, in_the_way(host.forwarding.obstacles(), families))) if families else ()


def dry_run(host: Host, sockets: Sockets, request: AttachRequest) -> str:
    """Render what the kernel would hold after such an attach; changes nothing, not even a directory."""
    proposal = _propose(host, sockets, request)
    prepared = prepare(host, proposal.definitions)
    return host.driver.render(prepared.change.after)


def _propose(host: Host, sockets: Sockets, request: AttachRequest) -> _Proposal:
    definitions = host.store.load()
    before = definitions.get(request.name)
    service = updated(before, request)
    held = host.driver.observe().ruleset
    candidates.check_choices(host, service)
    listeners = requested_listeners(request, before)
    added = [new for new in listeners if not any(new.overlaps(old) for old in (before.listeners if before else ()))]
    containers = candidates.containers(host.engines, engines_of(service, host.engines))
    conflicts.check_services(service.name, added, definitions, held)
    taken: tuple[str, ...] = ()
    if request.force:
        taken = conflicts.taken_by_force(added, containers, sockets)
    else:
        conflicts.check_rivals(added, containers, sockets)
    unreadable = tuple(error.message for error in definitions.unreadable.values())
    warnings = candidates.check(service, listeners, containers, in_advance=not request.wait)
    there = selection.replicas(service, containers)
    service = weighted(service, resolved(request.weights, service.name, there, in_advance=not request.wait))
    from_labels = conflicts.taken_from_labels(service.name, added, held)
    return _Proposal(
        before,
        service,
        listeners,
        definitions.replaced(service),
        (*taken, *from_labels, *warnings, *_cautions(host, service), *unreadable),
    )


def _cautions(host: Host, service: Service) -> tuple[str, ...]:
    """Say what one should know who uses this driver here."""
    caution = host.driver.offers[host.driver.place(service)].caution
    return () if caution is None else (caution,)

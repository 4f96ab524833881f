"""``status``: every service with its replicas, as the engines and the kernel have them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from netshare.core.draining import Drain, by_key, reason
from netshare.core.labelled import Notice
from netshare.core.model import Endpoint, Family, Replica, ReplicaState, Service
from netshare.core.obstacle import Obstacle, families_served, in_the_way
from netshare.core.plan import families_of, targets
from netshare.core.ruleset import Target
from netshare.errors import EngineUnreachableError, NetshareError
from netshare.host import Host
from netshare.netfilter.driver import Observation
from netshare.operations.control import Agent, AgentControl
from netshare.operations.detach import not_found
from netshare.operations.traffic import against_kernel, from_kernel, held_by
from netshare.operations.waiting import silence
from netshare.reconcile import Prepared, prepare
from netshare.store.protocol import Definitions


class Connections(Protocol):
    """The connections that the kernel tracks."""

    def active(self) -> Mapping[Target, int]:
        """Count those that are open now, by the replica they go to."""


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """A replica, and how many connections it was given and has.

    ``rate`` is how many it is given a second; to tell, it takes two looks. ``drain`` is its drain, as seen at the time
    ``now``.
    """

    replica: Replica
    connections_total: int
    connections_active: int
    rate: float | None = None
    drain: Drain | None = None
    now: float = 0.0

    @property
    def reason(self) -> str | None:
        """Why it is not ready; of one that drains, also how many connections it has left."""
        if self.drain is None or self.replica.state is not ReplicaState.DRAINING:
            return self.replica.reason
        return reason(self.drain, self.now, self.connections_active)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where it is reached, IPv4 first."""
        found = {endpoint for endpoints in self.replica.endpoints.values() for endpoint in endpoints}
        return tuple(sorted(found, key=lambda e: (e.address.version, int(e.address), e.port)))


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service and its replicas; ``driver`` is the one that serves it."""

    service: Service
    driver: str
    replicas: tuple[ReplicaStatus, ...]

    @property
    def families(self) -> tuple[Family, ...]:
        """In which families new connections are served; in the other they are refused at once."""
        ready = (each for each in self.replicas if each.replica.state is ReplicaState.READY)
        reachable = {endpoint.family for each in ready for endpoint in each.endpoints}
        listening = {family for listener in self.service.listeners for family in families_of(listener)}
        return tuple(family for family in Family if family in reachable & listening)


@dataclass(frozen=True, slots=True)
class Status:
    """How everything stands; ``problems`` name what could not be read, ``obstacles`` what drops traffic."""

    services: tuple[ServiceStatus, ...]
    problems: tuple[NetshareError, ...]
    agent: Agent
    obstacles: tuple[Obstacle, ...] = ()
    notices: tuple[Notice, ...] = ()


def status(host: Host, agent: AgentControl, connections: Connections, name: str | None = None) -> Status:
    """Look at every service, or at one.

    Raises:
        NotFoundError, DefinitionError: the one asked for is not there, or can't be read.
        NotPermittedError: the kernel may not be asked.

    """
    definitions = host.store.load()
    if name is not None and name in definitions.unreadable:
        raise definitions.unreadable[name]
    prepared = prepare(host, definitions)
    held = held_by(prepared.observation)
    active = connections.active()
    judged = {item.service.name: item for item in prepared.services}
    drains = by_key(prepared.drains)
    services: list[ServiceStatus] = []
    for service in _wanted(definitions, prepared, name):
        item = judged.get(service.name)
        replicas = against_kernel(item, held) if item else from_kernel(service, held, silence(service, host, prepared))
        counted = tuple(
            replace(
                _counted(replica, prepared.observation.connections, active),
                drain=drains.get((service.name, replica.id)),
                now=prepared.now,
            )
            for replica in replicas
        )
        services.append(ServiceStatus(service, host.driver.place(service), counted))
    problems, notices = prepared.problems, prepared.notices
    if name is not None:
        unusable_drains = problems[-1:] if prepared.noted is None else ()
        silences = () if name in judged else tuple(p for p in problems if isinstance(p, EngineUnreachableError))
        problems = (*silences, *unusable_drains)
        notices = tuple(notice for notice in notices if notice.service == name)
    obstacles = _obstacles(host, prepared.observation)
    return Status(tuple(services), problems, Agent(agent.pid()), obstacles, notices)


def _wanted(definitions: Definitions, prepared: Prepared, name: str | None) -> list[Service]:
    """Pick the services to look at, in order of names."""
    everything = sorted((*definitions.services, *prepared.labelled), key=lambda service: service.name)
    chosen = [service for service in everything if name in (None, service.name)]
    if name is not None and not chosen:
        raise not_found(name, definitions, prepared.labelled)
    return chosen


def _obstacles(host: Host, observation: Observation) -> tuple[Obstacle, ...]:
    """Look for what stands between clients and the endpoints that the kernel holds."""
    served = families_served(observation.ruleset)
    return in_the_way(host.forwarding.obstacles(), served) if served else ()


def _counted(replica: Replica, total: Mapping[Target, int], active: Mapping[Target, int]) -> ReplicaStatus:
    counted = targets(replica)
    return ReplicaStatus(
        replica,
        sum(total.get(target, 0) for target in counted),
        sum(active.get(target, 0) for target in counted),
    )

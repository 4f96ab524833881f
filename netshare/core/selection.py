"""Which containers are a service's replicas, and which of those may be given new connections.

Pure: containers as an engine lists them come in, replicas with a state and a reason go out.
"""

import re
from collections.abc import Iterable, Sequence

from netshare.core.model import (
    Attachment,
    Container,
    ContainerStatus,
    Endpoint,
    Health,
    IPAddress,
    Listener,
    Replica,
    ReplicaState,
    Service,
)

LABEL_SERVICE = "netshare.service"
COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"
COMPOSE_ONEOFF = "com.docker.compose.oneoff"
STATIC_ENGINE = "static"

LIVE = frozenset(
    {ContainerStatus.CREATED, ContainerStatus.RUNNING, ContainerStatus.PAUSED, ContainerStatus.RESTARTING},
)
"""A container that has any other status is gone, and its connections with it."""


def select(service: Service, containers: Iterable[Container]) -> list[Container]:
    """Pick a service's containers, in order of name.

    By ``--select`` where it was given; else, first match wins: the label ``netshare.service``; the Compose service
    (``PROJECT/NAME`` pins the project); a container called NAME, or NAME, ``-`` or ``_``, and digits.
    """
    candidates = sorted(
        (c for c in containers if service.engine in (None, c.engine) and c.labels.get(COMPOSE_ONEOFF) != "True"),
        key=lambda c: (c.name, c.id),
    )
    if service.select:
        return [c for c in candidates if all(c.labels.get(key) == value for key, value in service.select)]
    for rule in (_by_label, _by_compose, _by_name):
        if found := [c for c in candidates if rule(service.name, c)]:
            return found
    return []


def _by_label(name: str, container: Container) -> bool:
    return container.labels.get(LABEL_SERVICE) == name


def _by_compose(name: str, container: Container) -> bool:
    project, _, service = name.rpartition("/")
    if container.labels.get(COMPOSE_SERVICE) != service:
        return False
    return not project or container.labels.get(COMPOSE_PROJECT) == project


def _by_name(name: str, container: Container) -> bool:
    return re.fullmatch(rf"{re.escape(name)}(?:[-_]\d+)?", container.name) is not None


def target_ports(listener: Listener, container: Container) -> list[int]:
    """List the ports of a container that a listener could mean; one, unless the container exposes several."""
    if listener.to is not None:
        return [listener.to]
    exposed = sorted(port for port, protocol in container.exposed if protocol is listener.protocol)
    return exposed or [listener.port]


def replicas(service: Service, containers: Iterable[Container]) -> list[Replica]:
    """Judge every replica of a service, static ones included."""
    if service.is_static:
        return [_static(service, index) for index in range(len(service.endpoints))]
    return [_judge(service, container) for container in select(service, containers)]


def _static(service: Service, index: int) -> Replica:
    given = service.endpoints[index]
    endpoints = {
        listener: (Endpoint(given.address, given.port or listener.to or listener.port),)
        for listener in service.listeners
    }
    return Replica(str(given), str(given), STATIC_ENGINE, ReplicaState.READY, endpoints)


def _judge(service: Service, container: Container) -> Replica:
    endpoints, obstacle = _endpoints(service, container)
    state, reason = _state(container)
    if state is ReplicaState.READY and obstacle is not None:
        state, reason = ReplicaState.UNHEALTHY, obstacle
    return Replica(container.name, container.id, container.engine, state, endpoints, reason=reason)


def _state(container: Container) -> tuple[ReplicaState, str | None]:
    if container.status not in LIVE:
        return ReplicaState.GONE, f"the container is {container.status}"
    if container.leaving:
        return ReplicaState.DRAINING, "stopping: its stop signal was sent"
    if container.status is ContainerStatus.PAUSED:
        return ReplicaState.UNHEALTHY, "the container is paused"
    if container.status is not ContainerStatus.RUNNING:
        return ReplicaState.STARTING, f"the container is {container.status}"
    if container.health is Health.STARTING:
        return ReplicaState.STARTING, "its HEALTHCHECK has not passed yet"
    if container.health is Health.UNHEALTHY:
        return ReplicaState.UNHEALTHY, "its HEALTHCHECK fails"
    return ReplicaState.READY, None


def _endpoints(service: Service, container: Container) -> tuple[dict[Listener, tuple[Endpoint, ...]], str | None]:
    """Find what of a container each listener can reach, and what stands in the way where it is nothing."""
    addresses, obstacle = _addresses(service.network, container)
    if obstacle is not None:
        return {}, obstacle
    endpoints: dict[Listener, tuple[Endpoint, ...]] = {}
    for listener in service.listeners:
        match target_ports(listener, container):
            case [port]:
                endpoints[listener] = tuple(Endpoint(address, port) for address in addresses)
            case several:
                named = ", ".join(map(str, several))
                return {}, f"it exposes several {listener.protocol} ports ({named}): say which with --to PORT"
    return endpoints, None


def _addresses(network: str | None, container: Container) -> tuple[Sequence[IPAddress], str | None]:
    if container.obstacle is not None:
        return (), container.obstacle
    if network is not None:
        return _on(network, container)
    reachable = [a for a in container.attachments if a.obstacle is None and a.addresses]
    match reachable:
        case [one]:
            return one.addresses, None
        case []:
            return (), _why_none(container)
    named = ", ".join(sorted(a.network for a in reachable))
    return (), f"it is on several networks ({named}): say which with --network NET"


def _on(network: str, container: Container) -> tuple[Sequence[IPAddress], str | None]:
    for attachment in container.attachments:
        if attachment.network == network:
            if attachment.obstacle is not None:
                return (), attachment.obstacle
            return attachment.addresses, None if attachment.addresses else f"it has no address on network {network}"
    named = ", ".join(sorted(a.network for a in container.attachments)) or "none"
    return (), f"it is not on network {network} (its networks: {named})"


def _why_none(container: Container) -> str:
    blocked: list[Attachment] = [a for a in container.attachments if a.obstacle is not None]
    if blocked:
        return "; ".join(a.obstacle for a in blocked if a.obstacle)
    return "it has no address on any network"

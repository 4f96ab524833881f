"""Which containers are a service's replicas, and which of those may be given new connections.

Pure: containers as an engine lists them come in, replicas with a state and a reason go out.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from weakref import WeakKeyDictionary

from netshare.core import labels
from netshare.core.labels import Labels
from netshare.core.model import (
    DRAIN,
    Attachment,
    CheckKind,
    Container,
    ContainerStatus,
    Endpoint,
    Health,
    IPAddress,
    Listener,
    Replica,
    ReplicaState,
    Service,
    Source,
)
from netshare.errors import UsageError

LABEL_SERVICE = labels.SERVICE
COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"
COMPOSE_ONEOFF = "com.docker.compose.oneoff"
PODMAN_COMPOSE: Mapping[str, str] = MappingProxyType(
    {
        COMPOSE_PROJECT: "io.podman.compose.project",
        COMPOSE_SERVICE: "io.podman.compose.service",
        COMPOSE_ONEOFF: "io.podman.compose.oneoff",
    }
)
"""What podman-compose calls the same; it sets Docker's as well, in all versions or in some."""
STATIC_ENGINE = "static"

LIVE = frozenset(
    {ContainerStatus.CREATED, ContainerStatus.RUNNING, ContainerStatus.PAUSED, ContainerStatus.RESTARTING},
)
"""A container that has any other status is gone, and its connections with it."""


def select(service: Service, containers: Iterable[Container]) -> list[Container]:
    """Pick a service's containers, in order of name.

    By ``--select`` where it was given; else, first match wins: the label ``netshare.service``; the Compose service
    (``PROJECT/NAME`` pins the project); a container called NAME, or NAME, ``-`` or ``_``, and digits. A container that
    names another service by its label is found by that alone.
    """
    candidates = sorted(
        (c for c in containers if service.engine in (None, c.engine) and compose(c, COMPOSE_ONEOFF) != "True"),
        key=lambda c: (c.name, c.id),
    )
    if service.select:
        return [c for c in candidates if all(c.labels.get(key) == value for key, value in service.select)]
    if (found := [c for c in candidates if _by_label(service.name, c)]) or service.source is Source.LABELS:
        return found
    free = [c for c in candidates if LABEL_SERVICE not in c.labels]
    for rule in (_by_compose, _by_name):
        if found := [c for c in free if rule(service.name, c)]:
            return found
    return []


def compose(container: Container, label: str) -> str | None:
    """Read a label of Compose's by Docker's name, else by podman-compose's."""
    return container.labels.get(label) or container.labels.get(PODMAN_COMPOSE[label])


def _by_label(name: str, container: Container) -> bool:
    return container.labels.get(LABEL_SERVICE) == name


def _by_compose(name: str, container: Container) -> bool:
    project, _, service = name.rpartition("/")
    if compose(container, COMPOSE_SERVICE) != service:
        return False
    return not project or compose(container, COMPOSE_PROJECT) == project


def _by_name(name: str, container: Container) -> bool:
    return re.fullmatch(rf"{re.escape(name)}(?:[-_]\d+)?", container.name) is not None


def target_ports(listener: Listener, container: Container) -> list[int]:
    """List the ports of a container that a listener could mean; one, unless the container exposes several."""
    return _target_ports(listener, container, _said(container)[0])


def _target_ports(listener: Listener, container: Container, says: Labels) -> list[int]:
    if (to := listener.to or says.target(listener)) is not None:
        return [to]
    exposed = sorted(port for port, protocol in container.exposed if protocol is listener.protocol)
    return exposed or [listener.port]


def replicas(service: Service, containers: Iterable[Container]) -> list[Replica]:
    """Judge every replica of a service, static ones included."""
    if service.is_static:
        made = _STATIC.get(service)
        if made is None:
            made = _STATIC[service] = _static(service)
        return list(made)
    return [_judge(service, container) for container in select(service, containers)]


def _said(container: Container) -> tuple[Labels, str | None]:
    """Read a container's labels; one that has a bad one says nothing, and that is an obstacle."""
    try:
        return labels.read(container.labels), None
    except UsageError as error:
        return labels.NONE, error.message


_STATIC: "WeakKeyDictionary[Service, tuple[Replica, ...]]" = WeakKeyDictionary()
"""What was made of static services; nothing but their definitions can change it, and it goes with them."""


def _static(service: Service) -> tuple[Replica, ...]:
    """Make replicas of what is written."""
    weights, drain = dict(service.weights), _first(service.drain, DRAIN)
    made = []
    for given in service.endpoints:
        name = str(given)
        endpoints = {
            listener: (Endpoint(given.address, given.port or listener.to or listener.port),)
            for listener in service.listeners
        }
        weight = weights.get(name, 1)
        made.append(Replica(name, name, STATIC_ENGINE, ReplicaState.READY, endpoints, weight, drain=drain))
    return tuple(made)


def _judge(service: Service, container: Container) -> Replica:
    says, refused = _said(container)
    endpoints, obstacle = ({}, refused) if refused else _endpoints(service, container, says)
    health = container.health if service.health.kind is CheckKind.ENGINE else Health.NONE
    state, reason = _state(container, health)
    if state is ReplicaState.READY and obstacle is not None:
        state, reason = ReplicaState.UNHEALTHY, obstacle
    weight = dict(service.weights).get(container.name, 1 if says.weight is None else says.weight)
    drain = _first(service.drain, says.drain, DRAIN)
    # What is paused answers nobody, whatever was last said of its health.
    known = health if container.status is ContainerStatus.RUNNING else Health.NONE
    return Replica(container.name, container.id, container.engine, state, endpoints, weight, reason, known, drain=drain)


def _first(*said: float | None) -> float:
    """Give what was said first."""
    return next(value for value in said if value is not None)


def _state(container: Container, health: Health) -> tuple[ReplicaState, str | None]:
    if container.status not in LIVE:
        return ReplicaState.GONE, f"the container is {container.status}"
    if container.leaving:
        return ReplicaState.DRAINING, "stopping: its stop signal was sent"
    if container.status is ContainerStatus.PAUSED:
        return ReplicaState.UNHEALTHY, "the container is paused"
    if container.status is not ContainerStatus.RUNNING:
        return ReplicaState.STARTING, f"the container is {container.status}"
    if health is Health.STARTING:
        return ReplicaState.STARTING, "its HEALTHCHECK has not passed yet"
    if health is Health.UNHEALTHY:
        return ReplicaState.UNHEALTHY, "its HEALTHCHECK fails"
    return ReplicaState.READY, None


def _endpoints(
    service: Service, container: Container, says: Labels
) -> tuple[dict[Listener, tuple[Endpoint, ...]], str | None]:
    """Find what of a container each listener can reach, and what stands in the way where it is nothing."""
    by_labels = service.source is Source.LABELS
    addresses, obstacle = _addresses(
        service.network or says.network, container, labels.NETWORK if by_labels else "--network NET"
    )
    if obstacle is not None:
        return {}, obstacle
    endpoints: dict[Listener, tuple[Endpoint, ...]] = {}
    for listener in service.listeners:
        if by_labels and not says.asks_for(listener):
            continue
        match _target_ports(listener, container, says):
            case [port]:
                endpoints[listener] = tuple(Endpoint(address, port) for address in addresses)
            case several:
                named = ", ".join(map(str, several))
                way = labels.TO if by_labels else "--to PORT"
                return {}, f"it exposes several {listener.protocol} ports ({named}): say which with {way}"
    return endpoints, None if endpoints or not by_labels else "none of the ports its labels ask for is its service's"


def _addresses(network: str | None, container: Container, way: str) -> tuple[Sequence[IPAddress], str | None]:
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
    return (), f"it is on several networks ({named}): say which with {way}"


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

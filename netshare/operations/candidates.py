"""Whether what NAME finds can be served at all, judged before anything is saved."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from netshare.core.model import Container, ContainerStatus, Health, Listener, Replica, ReplicaState, Service
from netshare.core.parse import ENGINES
from netshare.core.selection import (
    COMPOSE_SERVICE,
    LABEL_SERVICE,
    STATIC_ENGINE,
    compose,
    replicas,
    select,
    target_ports,
)
from netshare.engine.protocol import Lister
from netshare.engine.silence import as_one, unanswered
from netshare.errors import EngineUnreachableError, NetshareError, NotFoundError, NotPermittedError, UsageError
from netshare.host import Host
from netshare.netfilter.placing import objection
from netshare.operations.traffic import no_way, reachable

_ENDED = frozenset({ContainerStatus.EXITED, ContainerStatus.DEAD, ContainerStatus.REMOVING})


def check_choices(host: Host, service: Service) -> None:
    """Refuse what this host has no adapter for."""
    if service.engine is not None and service.engine not in host.engines:
        choices = " or ".join(name for name in ENGINES if name in host.engines or name == STATIC_ENGINE)
        raise UsageError(f"engine {service.engine} is not available here", hint=f"choose {choices}")
    if (problem := objection(service, host.driver)) is not None:
        raise problem


def containers(engines: Mapping[str, Lister], needed: Iterable[str]) -> list[Container]:
    """List what every engine runs; one that is not needed may be silent."""
    needed = list(needed)
    found: list[Container] = []
    silent: dict[str, EngineUnreachableError] = {}
    for name, engine in engines.items():
        try:
            found += engine.containers()
        except EngineUnreachableError as error:
            silent[name] = error
        except NotPermittedError:
            if name in needed:
                raise
    if silences := unanswered(needed, silent):
        raise as_one(silences.values())
    return found


def check(
    service: Service,
    listeners: Sequence[Listener],
    containers: Sequence[Container],
    *,
    in_advance: bool,
) -> tuple[str, ...]:
    """Refuse what can never take traffic; warn of single replicas that can't.

    Raises:
        NotFoundError: no container matches, and it is not attached in advance.
        UsageError: a word is missing (``--to``, ``--network``).
        NetshareError: no replica can be reached.

    """
    chosen = [] if service.is_static else select(service, containers)
    if not chosen and not service.is_static:
        if in_advance:
            return ()
        raise _nothing_found(service, containers)
    _check_ports(service, listeners, [c for c in chosen if c.status not in _ENDED])
    judged = replicas(service, [replace(c, health=Health.NONE, leaving=False) for c in chosen])
    obstacles = {replica.name: reason for replica in judged if (reason := _obstacle(replica)) is not None}
    hopeful = [r for r in judged if r.name not in obstacles]
    if obstacles and not any(r.state is not ReplicaState.GONE for r in hopeful):
        raise _none_reachable(service, chosen, obstacles)
    return tuple(f"{name} gets no traffic: {reason}" for name, reason in obstacles.items())


def _obstacle(replica: Replica) -> str | None:
    """Say what stands in the way of a running replica that passes its health checks."""
    if replica.state in (ReplicaState.GONE, ReplicaState.STARTING):
        return None
    if not replica.endpoints:
        return replica.reason
    return None if any(reachable(replica)) else no_way(replica)


def _check_ports(service: Service, listeners: Iterable[Listener], containers: Sequence[Container]) -> None:
    for listener in listeners:
        for container in containers:
            ports = target_ports(listener, container)
            if len(ports) > 1 and container.obstacle is None:
                raise UsageError(
                    f"{container.name} exposes several {listener.protocol} ports: {', '.join(map(str, ports))}",
                    hint=f"say which one {service.name} means with --to {ports[0]}",
                )


def _none_reachable(service: Service, chosen: Iterable[Container], obstacles: dict[str, str]) -> NetshareError:
    networks = {network for container in chosen for network in _networks(container)}
    if service.network is None and len(networks) > 1:
        return UsageError(
            f"the replicas of {service.name} are on several networks: {', '.join(sorted(networks))}",
            hint=f"say which one to use with --network {min(networks)}",
        )
    named = "; ".join(f"{name}: {reason}" for name, reason in obstacles.items())
    return NetshareError(
        f"no replica of {service.name} can be reached: {named}",
        hint="replicas need a bridge network of their own, of an engine that runs as root; --endpoint IP:PORT attaches "
        "anything else this host can route to",
    )


def _networks(container: Container) -> Iterator[str]:
    """Name the networks of a container that is reachable on several."""
    usable = [a.network for a in container.attachments if a.obstacle is None and a.addresses]
    if container.obstacle is None and len(usable) > 1:
        yield from usable


def _nothing_found(service: Service, containers: Sequence[Container]) -> NotFoundError:
    tool = service.engine or ("podman" if {c.engine for c in containers} == {"podman"} else "docker")
    if service.select:
        labels = " and ".join(f"{key}={value}" for key, value in service.select)
        return NotFoundError(
            f"no container has the label {labels}",
            hint=f"`{tool} ps --format '{{{{.Names}}}} {{{{.Labels}}}}'` shows them; --no-wait attaches in advance",
        )
    near = get_close_matches(service.name, sorted(_names(containers)), n=3)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return NotFoundError(
        f"no container matches {service.name}",
        hint=f"{meant}it would be called {service.name} or {service.name}-1, be the Compose service {service.name}, or "
        f"have the label netshare.service={service.name}; `{tool} ps` lists what runs; --no-wait attaches anyway",
    )


def _names(containers: Iterable[Container]) -> set[str]:
    """Give every word that would have found something."""
    found: set[str] = set()
    for container in containers:
        found.update((container.name, re.sub(r"[-_]\d+$", "", container.name)))
        found.update(filter(None, (compose(container, COMPOSE_SERVICE), container.labels.get(LABEL_SERVICE))))
    return found

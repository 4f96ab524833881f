"""``detach``: take one listener of a service away, or the whole of it."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches

from netshare.core import labels
from netshare.core.model import Listener, Protocol, Replica, Service, Source
from netshare.errors import NetshareError, NotFoundError
from netshare.host import Host
from netshare.operations.change import Change, commit
from netshare.operations.control import AgentControl
from netshare.reconcile import Prepared, prepare
from netshare.store.protocol import Definitions

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Detached:
    """What is no longer served, and what of the service still is."""

    name: str
    removed: tuple[Listener, ...]
    left: tuple[Listener, ...]
    warnings: tuple[str, ...] = ()


def detach(host: Host, agent: AgentControl, name: str, port: tuple[int, Protocol] | None = None) -> Detached:
    """Remove a service's listeners on a port, or all of them with their definition.

    Raises:
        NotFoundError: there is no such service, or it has no listener there.
        NetshareError: labels make the service, or it could not be done; the definitions are what they were before.

    """
    with host.lock():
        definitions = host.store.load()
        before = _attached(host, definitions, name)
        removed = before.listeners if port is None else _listeners_on(before, port)
        left = tuple(listener for listener in before.listeners if listener not in removed)
        after = replace(before, listeners=left) if left else None
        if after is None:
            host.store.delete(name)
        else:
            host.store.save(after)
    warnings = commit(host, agent, [Change(name, before, after)])
    if after is None:
        warnings = (*warnings, *_left_to_labels(host, name))
    return Detached(name, removed, left, warnings)


def _attached(host: Host, definitions: Definitions, name: str) -> Service:
    """Give the service of that name, if it was attached by hand.

    Raises:
        NotFoundError: there is none.
        DefinitionError: there is one, and it can't be read.
        NetshareError: labels make it.

    """
    service = definitions.get(name)
    if service is not None and service.source is Source.ATTACH:
        return service
    prepared = prepare(host, definitions)
    if any(made.name == name for made in prepared.labelled):
        raise NetshareError(
            f"{name} can't be detached: nobody attached it, the labels of its containers make it",
            hint=f"run {_named(_replicas_of(name, prepared))} without the label {labels.PORT}, or remove them; to say "
            f"yourself how they are served: netshare attach {name} PORT",
        )
    raise not_found(name, definitions, prepared.labelled)


def _left_to_labels(host: Host, name: str) -> tuple[str, ...]:
    """Tell of a service that goes on because its containers' labels make one as well."""
    with suppress(NetshareError):
        for made in prepare(host, host.store.load()).labelled:
            if made.name == name:
                listeners = ", ".join(map(str, made.listeners))
                return (f"{name} goes on by its containers' labels, on {listeners}",)
    return ()


def _replicas_of(name: str, prepared: Prepared) -> Sequence[Replica]:
    return next((item.replicas for item in prepared.services if item.service.name == name), ())


def _named(replicas: Sequence[Replica]) -> str:
    names = [replica.name for replica in replicas[:_SHOWN]]
    more = [f"{len(replicas) - _SHOWN} more"] if len(replicas) > _SHOWN else []
    return " and ".join([*names, *more]) or "its containers"


def _listeners_on(service: Service, port: tuple[int, Protocol]) -> tuple[Listener, ...]:
    found = tuple(listener for listener in service.listeners if (listener.port, listener.protocol) == port)
    if not found:
        named = ", ".join(map(str, service.listeners))
        raise NotFoundError(
            f"{service.name} has no listener on {port[0]}/{port[1]}",
            hint=f"it listens on {named}",
        )
    return found


def not_found(name: str, definitions: Definitions, labelled: Iterable[Service] = ()) -> NotFoundError:
    """Say that no service has that name, and which come near."""
    near = get_close_matches(name, [service.name for service in (*definitions.services, *labelled)], n=3)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return NotFoundError(f"no service is called {name}", hint=f"{meant}`netshare list` shows what is attached")

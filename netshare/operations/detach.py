"""``detach``: take one listener of a service away, or the whole of it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches

from netshare.core.model import Listener, Protocol, Service
from netshare.errors import NotFoundError
from netshare.operations.change import commit
from netshare.operations.control import AgentControl
from netshare.reconcile import Host
from netshare.store.protocol import Definitions


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
        NetshareError: it could not be done; the definitions are what they were before.

    """
    with host.lock():
        definitions = host.store.load()
        before = existing(definitions, name)
        removed = before.listeners if port is None else _listeners_on(before, port)
        left = tuple(listener for listener in before.listeners if listener not in removed)
        after = replace(before, listeners=left) if left else None
        if after is None:
            host.store.delete(name)
        else:
            host.store.save(after)
    warnings = commit(host, agent, name, before, after)
    return Detached(name, removed, left, warnings)


def existing(definitions: Definitions, name: str) -> Service:
    """Give the service of that name.

    Raises:
        NotFoundError: there is none.
        DefinitionError: there is one, and it can't be read.

    """
    service = definitions.get(name)
    if service is None:
        raise _not_found(name, [s.name for s in definitions.services])
    return service


def _listeners_on(service: Service, port: tuple[int, Protocol]) -> tuple[Listener, ...]:
    found = tuple(listener for listener in service.listeners if (listener.port, listener.protocol) == port)
    if not found:
        named = ", ".join(map(str, service.listeners))
        raise NotFoundError(
            f"{service.name} has no listener on {port[0]}/{port[1]}",
            hint=f"it listens on {named}",
        )
    return found


def _not_found(name: str, names: Iterable[str]) -> NotFoundError:
    near = get_close_matches(name, list(names), n=3)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return NotFoundError(f"no service is called {name}", hint=f"{meant}`netshare list` shows what is attached")

"""Who else has the port: another service, a published container, a listening socket.

DNAT at netshare's priority would take the port from any of them in silence, so they are looked for first.
"""

from collections.abc import Iterable
from contextlib import suppress

from netshare.core.model import BY_LABELS, Container, Listener
from netshare.core.ruleset import Ruleset
from netshare.errors import NetfilterError, NotPermittedError, PortConflictError
from netshare.netfilter.rivals import Sockets, rivals
from netshare.store.protocol import Definitions


def check_services(name: str, listeners: Iterable[Listener], definitions: Definitions, held: Ruleset) -> None:
    """Refuse a listener that another service has; no force helps, since only one of them could be served.

    Of services whose definition can't be read, what the kernel holds tells.
    """
    for listener in listeners:
        for other in definitions.services:
            if other.name != name and any(listener.overlaps(taken) for taken in other.listeners):
                raise PortConflictError(
                    f"{listener} belongs to service {other.name}",
                    hint=f"choose another port, or first: netshare detach {other.name} {listener.port}"
                    f"/{listener.protocol}",
                )
        for match, dispatch in held.dispatches.items():
            taken = Listener(match.port, match.protocol, match.address)
            if dispatch.service in definitions.unreadable and listener.overlaps(taken):
                raise PortConflictError(
                    f"{listener} belongs to service {dispatch.service}, whose definition can't be read",
                    hint=definitions.unreadable[dispatch.service].message,
                )


def check_rivals(listeners: Iterable[Listener], containers: Iterable[Container], sockets: Sockets) -> None:
    """Refuse a listener that someone has."""
    for rival in rivals(listeners, containers, sockets):
        raise rival


def taken_by_force(listeners: Iterable[Listener], containers: Iterable[Container], sockets: Sockets) -> tuple[str, ...]:
    """Say what is taken from whom; where the kernel does not tell who listens, whoever forces claims to know."""
    found: list[str] = []
    with suppress(NetfilterError, NotPermittedError):
        found.extend(
            f"{rival.message}: its new connections go to the replicas from now on"
            for rival in rivals(listeners, containers, sockets)
        )
    return tuple(found)


def taken_from_labels(name: str, listeners: Iterable[Listener], held: Ruleset) -> tuple[str, ...]:
    """Say which other service loses a listener that it has by its containers' labels: what is attached goes before."""
    found: dict[str, None] = {}
    for listener in listeners:
        for match, dispatch in held.dispatches.items():
            other = dispatch.service.removesuffix(BY_LABELS)
            is_by_labels = other not in (dispatch.service, name)
            is_there = (match.port, match.protocol) == (listener.port, listener.protocol)
            if is_by_labels and is_there and listener.address in (None, match.address):
                found[f"{listener} was service {other}'s, by its containers' labels: it is {name}'s from now on"] = None
    return tuple(found)

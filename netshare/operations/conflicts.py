"""Who else has the port: another service, a published container, a listening socket.

DNAT at netshare's priority would take the port from any of them in silence, so they are looked for first.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Protocol

from netshare.core.model import Container, Listener, PublishedPort
from netshare.core.ruleset import Ruleset
from netshare.errors import NetfilterError, NotPermittedError, PortConflictError
from netshare.store.protocol import Definitions


class Sockets(Protocol):
    """The listening sockets of this network namespace."""

    def holders(self, listener: Listener) -> list[str]:
        """Name who listens where the listener would, as in ``nginx (pid 4242)``."""


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


def rivals(
    listeners: Iterable[Listener], containers: Iterable[Container], sockets: Sockets
) -> Iterator[PortConflictError]:
    """Find who of outside netshare has a listener now: a container it is published by, else a process.

    Raises:
        NetfilterError, NotPermittedError: the kernel does not tell who listens.

    """
    everyone = list(containers)
    for listener in listeners:
        publishing = [c for c in everyone if any(_takes(listener, published) for published in c.published)]
        for container in publishing:
            yield PortConflictError(
                f"{listener} is published by container {container.name} ({container.engine})",
                hint=f"run {container.name} without publishing that port, choose another port, or add --force: "
                "new connections then go to the replicas only",
            )
        # A published port may have a process as well, the engine's own: the container is who to name.
        if not publishing and (holders := sockets.holders(listener)):
            yield PortConflictError(
                f"{listener} is in use by {', '.join(holders)}",
                hint="stop it, choose another port, or add --force: new connections then go to the replicas only",
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


def _takes(listener: Listener, published: PublishedPort) -> bool:
    """Whether the listener would take connections meant for the published port."""
    if (listener.port, listener.protocol) != (published.port, published.protocol):
        return False
    return listener.address is None or published.address in (None, listener.address)

"""Who of outside netshare has a port: a container that publishes it, a process that listens.

DNAT at netshare's priority would take the port from either in silence, so they are looked for first.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from netshare.core.model import Container, Listener, PublishedPort
from netshare.errors import NetfilterError, NotPermittedError, PortConflictError


class Sockets(Protocol):
    """The listening sockets of this network namespace."""

    def holders(self, listener: Listener) -> list[str]:
        """Name who listens where the listener would, as in ``nginx (pid 4242)``."""


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
            elsewhere = "" if listener.address else "name one of this host's other addresses with --listen, "
            yield PortConflictError(
                f"{listener} is in use by {', '.join(holders)}",
                hint=f"stop it, choose another port, {elsewhere}or add --force: new connections then go to the "
                "replicas only",
            )


def rival(listener: Listener, containers: Iterable[Container], sockets: Sockets) -> str | None:
    """Say who of outside netshare has a listener, if anybody; where that can't be told, say so."""
    try:
        return next((found.message for found in rivals([listener], containers, sockets)), None)
    except (NetfilterError, NotPermittedError) as error:
        return error.message


def _takes(listener: Listener, published: PublishedPort) -> bool:
    """Whether the listener would take connections meant for the published port."""
    if (listener.port, listener.protocol) != (published.port, published.protocol):
        return False
    return listener.address is None or published.address in (None, listener.address)

"""An engine whose containers are a list."""

import queue
from collections.abc import Iterator
from ipaddress import ip_address
from types import MappingProxyType

from netshare.core.model import Attachment, Container, ContainerStatus, Health, Protocol, PublishedPort
from netshare.engine.protocol import EngineEvent, EventKind
from netshare.errors import EngineUnreachableError, NetshareError


class FakeEngine:
    """Runs what is put into ``running``; ``failure`` is what it answers instead for as long as it is set."""

    def __init__(self, *containers: Container, name: str = "docker") -> None:
        self.name = name
        self.running: list[Container] = list(containers)
        self.failure: NetshareError | None = None
        self.listings = 0
        self._events: queue.SimpleQueue[EngineEvent | None] = queue.SimpleQueue()

    def containers(self) -> tuple[Container, ...]:
        self.listings += 1
        if self.failure is not None:
            raise self.failure
        return tuple(self.running)

    def events(self) -> Iterator[EngineEvent]:
        if self.failure is not None:
            raise self.failure
        yield EngineEvent(EventKind.SUBSCRIBED)
        while (event := self._events.get()) is not None:
            yield event
        raise EngineUnreachableError(f"{self.name} ended its event stream")

    def close(self) -> None:
        self._events.put(None)

    def emit(self, event: EngineEvent) -> None:
        """Let a hint arrive at whoever listens."""
        self._events.put(event)

    def die(self) -> None:
        """Stop answering, as a stopped daemon does."""
        self.failure = EngineUnreachableError(
            f"{self.name} does not answer",
            hint=f"start it: systemctl start {self.name}",
        )


def container(  # noqa: PLR0913 (a container has many sides)
    name: str,
    *addresses: str,
    network: str = "bridge",
    exposed: tuple[int, ...] = (),
    protocol: Protocol = Protocol.TCP,
    status: ContainerStatus = ContainerStatus.RUNNING,
    health: Health = Health.NONE,
    labels: dict[str, str] | None = None,
    published: tuple[PublishedPort, ...] = (),
    obstacle: str | None = None,
    engine: str = "docker",
) -> Container:
    """Make a container on one network."""
    attached = (Attachment(network, tuple(map(ip_address, addresses))),) if addresses else ()
    return Container(
        id=f"id-of-{name}",
        name=name,
        engine=engine,
        status=status,
        health=health,
        labels=MappingProxyType(labels or {}),
        attachments=attached,
        exposed=frozenset((port, protocol) for port in exposed),
        published=published,
        obstacle=obstacle,
    )

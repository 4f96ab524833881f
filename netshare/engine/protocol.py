"""What netshare asks of a container engine: a complete listing, and hints that it changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from netshare.core.model import Container


class EventKind(StrEnum):
    """What a hint is about."""

    SUBSCRIBED = "subscribed"
    """The stream is open: everything that happens from now on is heard, so list now."""
    LEAVING = "leaving"
    """A container was sent its stop signal: give it no new connection, without waiting for a listing."""
    CHANGED = "changed"
    """Something about containers or networks changed: list again."""


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """A hint from the engine's event stream; the listing is the truth.

    ``time_ns`` is the engine's own clock (nanoseconds since 1970), 0 where it gave none.
    """

    kind: EventKind
    container_id: str = ""
    action: str = ""
    time_ns: int = 0


class Lister(Protocol):
    """What can list containers: an engine, or whoever follows one."""

    @property
    def name(self) -> str:
        """``docker`` or ``podman``."""

    def containers(self) -> tuple[Container, ...]:
        """Every container of the engine, running or not, in one complete listing.

        Raises:
            EngineUnreachableError: it does not answer; nothing may be concluded about its containers.
            NotPermittedError: its socket may not be opened by this user.

        """


class Engine(Lister, Protocol):
    """A container engine."""

    def events(self) -> Iterator[EngineEvent]:
        """Hints from now on, the first of them ``SUBSCRIBED``; blocks between them.

        A stream that breaks or ends raises `EngineUnreachableError`: it never ends quietly.
        """

    def close(self) -> None:
        """End the stream that another thread is blocked on, and free the connection."""

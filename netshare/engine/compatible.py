"""An engine that speaks Docker's API, followed: one connection for listings, one stream of events that is resumed.

Here is what Docker and Podman have in common; what their answers and events mean is their own. The SDK takes 0.2 s to
import, so it is loaded when an engine is first asked, never by `netshare --help`.

Two threads may use one engine: one in `events`, another in `containers`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING

from netshare.core.model import Container
from netshare.engine import docker_events
from netshare.engine.answers import mapping
from netshare.engine.docker_connection import Address
from netshare.engine.docker_stream import EventStream
from netshare.engine.protocol import EngineEvent, EventKind
from netshare.errors import EngineUnreachableError, NetshareError

if TYPE_CHECKING:
    import docker

    from netshare.engine.answers import Answer


class CompatibleEngine(ABC):
    """The engine behind one address."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._listing_lock = Lock()
        self._client: docker.APIClient | None = None
        self._stream_lock = Lock()
        self._stream: EventStream | None = None
        self._closed = False
        self._resume_ns = 0

    @property
    @abstractmethod
    def name(self) -> str:
        """The engine's name on the command line."""

    @property
    @abstractmethod
    def _filters(self) -> Mapping[str, Sequence[str]]:
        """Which events the engine is asked to send."""

    @abstractmethod
    def _since(self, time_ns: int) -> str:
        """Write a point in time (nanoseconds since 1970) so that the engine loses nothing of it."""

    @abstractmethod
    def _meet(self, client: "docker.APIClient") -> None:
        """Learn of the engine at the end of a new connection what its listings do not tell."""

    @abstractmethod
    def _now(self, client: "docker.APIClient") -> int:
        """Tell the time by the engine's own clock, in nanoseconds since 1970: its events are told in that."""

    @abstractmethod
    def _list(self, client: "docker.APIClient") -> tuple[Container, ...]:
        """List every container."""

    @abstractmethod
    def _hint(self, client: "docker.APIClient", raw: docker_events.RawEvent) -> EngineEvent | None:
        """Tell what an event means; nothing where it means nothing."""

    @abstractmethod
    def _catch_up(self, client: "docker.APIClient", now_ns: int) -> None:
        """Settle what may have happened while no stream was open, before the next, which begins at ``now_ns``."""

    def containers(self) -> tuple[Container, ...]:
        """Every container, running or not, in one complete listing."""
        with self._listing_lock:
            try:
                self._address.probe()
                listing = self._list(self._connected())
            except NetshareError:
                self._disconnect()
                raise
            self._address = self._address.answered()
            return listing

    def events(self) -> Iterator[EngineEvent]:
        """Hints from now on; a later call goes on after the last event that an earlier one gave."""
        client = self._address.connect()
        try:
            self._resume_ns = self._resume_ns or self._now(client)
            self._catch_up(client, self._resume_ns)
            yield from self._follow(client)
        except EngineUnreachableError:
            with self._listing_lock:
                self._disconnect()
            raise
        finally:
            client.close()

    def close(self) -> None:
        """End the stream that another thread is blocked on, and free the connection."""
        with self._stream_lock:
            self._closed = True
        self._interrupt()
        with self._listing_lock:
            self._disconnect()

    def _interrupt(self) -> None:
        """Wake the thread that waits for an event."""
        with self._stream_lock:
            if self._stream is not None:
                self._stream.interrupt()

    def _connected(self) -> "docker.APIClient":
        if self._client is None:
            self._client = self._address.connect()
            self._meet(self._client)
        return self._client

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _info(self, client: "docker.APIClient") -> "Answer":
        with self._address.translated():
            return mapping(client.info())

    def _follow(self, client: "docker.APIClient") -> Iterator[EngineEvent]:
        """Read one stream after the other: a silent one is replaced once the peer has shown that it lives.

        Nothing is lost between two streams, as each asks for everything since the last event that was seen.
        """
        stream = self._open(client)
        try:
            yield EngineEvent(EventKind.SUBSCRIBED)
            while True:
                for line in stream.lines():
                    raw = docker_events.read(line)
                    if raw is None:
                        continue
                    self._resume_ns = raw.time_ns + 1 if raw.time_ns else self._resume_ns
                    if (event := self._hint(client, raw)) is not None:
                        yield event
                stream.release()
                with self._address.translated():
                    client.ping()
                stream = self._open(client)
        finally:
            with self._stream_lock:
                self._stream = None
            stream.release()

    def _open(self, client: "docker.APIClient") -> EventStream:
        """Subscribe; also to what happened since the last event, or since the connection was made.

        Docker answers before it subscribes (moby api/server/router/system, getEvents flushes first), so a stream that
        began only "now" could miss what happens between its answer and the subscription.
        """
        stream = EventStream(client, self._address, self._since(self._resume_ns), self._filters)
        with self._stream_lock:
            if self._closed:
                stream.release()
                raise self._address.unreachable("the connection was closed")
            self._stream = stream
        return stream

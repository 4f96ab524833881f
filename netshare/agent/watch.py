"""An engine whose events are followed: its last listing is kept until an event says that it may be out of date."""

import logging
from collections.abc import Callable
from dataclasses import replace
from threading import Event, Lock, Timer

from netshare.agent.inbox import Hint
from netshare.core.event import Stage, event
from netshare.core.model import Container
from netshare.engine.protocol import Engine, EngineEvent, EventKind
from netshare.errors import EngineUnreachableError, NetshareError

_log = logging.getLogger(__name__)
_SHORT_ID = 12
_REACHABLE, _UNREACHABLE, _ABSENT = "reachable", "unreachable", "absent"


class WatchedEngine:
    """A `Lister` that lists only when it must.

    A container that was sent its stop signal is marked as leaving in the listing at hand, so that it loses its place
    in the kernel without waiting for the engine to answer.

    After a change it lists at once and, when all has been quiet for a moment, once more: Docker tells of some changes
    (pause and unpause: moby daemon/pause.go) before its own listing shows them.

    Where the engine does not answer, its last listing stands in, with the marks of those that left: its replicas stay
    as they are, and those of another engine behind the same services are followed all the same.
    """

    def __init__(
        self, engine: Engine, tell: Callable[[Hint], None], *, retry: float = 1.0, settle: float = 0.5
    ) -> None:
        """``tell`` is told of every change; a broken stream is opened again after ``retry`` seconds.

        ``is_up`` is whether events are heard just now, ``subscriptions`` how often their stream was opened.

        ``settle`` is how long, in seconds, a listing may lag behind an event.
        """
        self._engine = engine
        self._tell = tell
        self._retry = retry
        self._settle = settle
        self._look_again = Timer(0, self._settled)
        self._ended = Event()
        self._lock = Lock()
        self._listing: tuple[Container, ...] | None = None
        self._in_doubt = True
        self._doubts = 0
        self.is_up = False
        self.subscriptions = 0

    @property
    def name(self) -> str:
        """The engine's name."""
        return self._engine.name

    def containers(self) -> tuple[Container, ...]:
        """Give the listing at hand, or a new one where there is doubt."""
        with self._lock:
            if self._listing is not None and not self._in_doubt:
                return self._listing
            doubts = self._doubts
        try:
            listing = self._engine.containers()
        except EngineUnreachableError:
            with self._lock:
                if self._listing is None:
                    raise
                return self._listing
        with self._lock:
            if doubts == self._doubts:  # else something changed while it was being listed
                self._listing, self._in_doubt = listing, False
        return listing

    def follow(self) -> None:
        """Follow the engine's events until `close`; a stream that breaks is opened again."""
        said = _REACHABLE
        while not self._ended.is_set():
            try:
                for hint in self._engine.events():
                    if said != _REACHABLE:
                        said = _REACHABLE
                        _log.info(event(Stage.OBSERVE, engine=self.name, state=said))
                    self._note(hint)
            except NetshareError as error:
                self.is_up = False
                self._doubt()
                is_absent = isinstance(error, EngineUnreachableError) and error.absent
                state = _ABSENT if is_absent else _UNREACHABLE
                if state != said and not self._ended.is_set():
                    said = state
                    level = logging.INFO if is_absent else logging.WARNING
                    _log.log(level, event(Stage.OBSERVE, engine=self.name, state=said, reason=error.message))
                    self._tell(Hint(f"{self.name} {said}"))
                self._ended.wait(self._retry)

    def close(self) -> None:
        """End `follow`, whatever it waits for."""
        self._ended.set()
        self._look_again.cancel()
        self._engine.close()

    def _note(self, hint: EngineEvent) -> None:
        if hint.kind is EventKind.SUBSCRIBED:
            self.is_up = True
            self.subscriptions += 1
        if hint.kind is EventKind.LEAVING:
            self._mark_leaving(hint.container_id)
        else:
            self._doubt()
        if hint.kind is EventKind.CHANGED:
            self._look_again.cancel()
            self._look_again = Timer(self._settle, self._settled)
            self._look_again.daemon = True
            self._look_again.start()
        what = " ".join(filter(None, (self.name, hint.action or hint.kind, hint.container_id[:_SHORT_ID])))
        self._tell(Hint(what, hint.time_ns))

    def _settled(self) -> None:
        self._doubt()
        self._tell(Hint(f"{self.name} settled"))

    def _mark_leaving(self, identity: str) -> None:
        with self._lock:
            if self._listing is not None:
                self._listing = tuple(replace(c, leaving=True) if c.id == identity else c for c in self._listing)
            # A listing under way may have been answered before the signal.
            self._doubts += 1

    def _doubt(self) -> None:
        with self._lock:
            self._doubts += 1
            self._in_doubt = True

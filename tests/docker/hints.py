"""An engine's events, read in a thread as the agent reads them."""

import threading
import time
from collections.abc import Callable
from queue import Empty, Queue
from types import TracebackType
from typing import Self

from netshare.engine.protocol import Engine, EngineEvent, EventKind
from netshare.errors import NetshareError

_PATIENCE = 20.0


class Hints:
    """What an engine's stream gives, one after the other; ``error`` is how it ended."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: Queue[EngineEvent] = Queue()
        self._thread = threading.Thread(target=self._read, name="hints", daemon=True)
        self.error: NetshareError | None = None

    def __enter__(self) -> Self:
        """Subscribe; the first hint must say so."""
        self._thread.start()
        assert self.next().kind is EventKind.SUBSCRIBED
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the stream."""
        self._engine.close()
        self.ended()

    def next(self) -> EngineEvent:
        """Wait for the next hint."""
        return self._queue.get(timeout=_PATIENCE)

    def until(self, wanted: Callable[[EngineEvent], bool]) -> list[EngineEvent]:
        """Wait for a hint, and give all that came, that one as the last."""
        seen = [self.next()]
        while not wanted(seen[-1]):
            seen.append(self.next())
        return seen

    def until_action(self, action: str) -> list[EngineEvent]:
        """Wait for a hint about an action."""
        return self.until(lambda event: event.action == action)

    def rest(self) -> list[EngineEvent]:
        """Give those that came and were not looked at."""
        found = []
        while True:
            try:
                found.append(self._queue.get_nowait())
            except Empty:
                return found

    def ended(self) -> NetshareError | None:
        """Wait until the stream ends, and tell how."""
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive()
        return self.error

    def _read(self) -> None:
        try:
            for event in self._engine.events():
                self._queue.put(event)
        except NetshareError as error:
            self.error = error


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)

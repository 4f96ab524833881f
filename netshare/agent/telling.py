"""The agent's events for those who listen: each gets a line of JSON an event, and none can hold the agent up.

The last events are remembered, so that who comes later can hear of them. A listener that reads too slowly loses the
oldest of what waits for it, and is told how many.
"""

import json
import logging
import os
import select
import socket
import time
from collections import deque
from contextlib import closing
from datetime import UTC, datetime
from threading import Condition, Lock

from netshare.core.event import Event, Stage, event
from netshare.errors import NetshareError
from netshare.runtime.agent import encode

SCHEMA = 1
REMEMBERED = 1000
WAITING = 1000
"""Events that may wait for one listener; a line has some hundred bytes, and all listeners share it."""
LISTENERS = 32
_FAREWELL = 1.0


class _Listener:
    """One who listens, by its connection: what it is told waits here until there is room in the socket."""

    def __init__(self, most: int) -> None:
        self._lock = Lock()
        self._waiting: deque[bytes] = deque()
        self._most = most
        self._lost = 0
        self._is_complete = False
        self._is_cut = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def tell(self, line: bytes) -> None:
        """Leave a line; never waits."""
        with self._lock:
            if len(self._waiting) == self._most:
                self._waiting.popleft()
                self._lost += 1
            self._waiting.append(line)
            self._nudge()

    def complete(self) -> None:
        """Say that this was all."""
        with self._lock:
            self._is_complete = True
            self._nudge()

    def cut(self) -> None:
        """Say that this was all, and that there is no time to wait for a slow reader."""
        with self._lock:
            self._is_complete = self._is_cut = True
            self._nudge()

    def close(self) -> None:
        """Give back what it needs; what it is told from now on is for nobody."""
        with self._lock:
            os.close(self._wake)
            self._wake = -1

    def serve(self, connection: socket.socket) -> None:
        """Send until all is sent, or the other side hangs up.

        Raises:
            OSError: it has hung up in the middle.

        """
        connection.settimeout(0)
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        pending = b""
        while True:
            is_complete = self._is_complete  # before the last look, or what came just then would be left
            pending = pending or self._take()
            if not pending and is_complete:
                return
            poll.register(connection, select.POLLIN | (select.POLLOUT if pending else 0))
            ready = dict(poll.poll(0 if self._is_cut else None))
            events = ready.get(connection.fileno(), 0)
            if events & ~select.POLLOUT:
                return  # it has nothing to say, so it has gone
            if self._is_cut and pending and not events:
                return  # there is no room for it
            if self._wake in ready:
                os.eventfd_read(self._wake)
            if events:
                pending = pending[connection.send(pending) :]

    def _take(self) -> bytes:
        """Take all that waits; what was lost is told of where it would have been."""
        with self._lock:
            lines = [*self._waiting]
            self._waiting.clear()
            lost, self._lost = self._lost, 0
        if lost:
            lines.insert(0, _line(event(Stage.LOST, count=lost), "warning", time.time()))
        return b"".join(lines)

    def _nudge(self) -> None:
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)


class Telling(logging.Handler):
    """Hears the agent's log, and tells its events to listeners, and the last ones to those who come later."""

    def __init__(self, *, remembered: int = REMEMBERED, waiting: int = WAITING, listeners: int = LISTENERS) -> None:
        super().__init__()
        self._changed = Condition()
        self._past: deque[bytes] = deque(maxlen=remembered)
        self._waiting = waiting
        self._most = listeners
        self._listeners: set[_Listener] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of an event; what else is in a log is none.

        An event of no consequence (DEBUG) is for those who listen just now, as a sign of life.
        """
        if not isinstance(record.msg, Event):
            return
        line = _line(record.msg, record.levelname.lower(), record.created)
        with self._changed:
            if record.levelno >= logging.INFO:
                self._past.append(line)
            for listener in self._listeners:
                listener.tell(line)

    def serve(self, connection: socket.socket, *, last: int, follow: bool) -> None:
        """Tell the ``last`` events and, if it is to ``follow``, all that come, until the other side hangs up.

        Raises:
            NetshareError: there is no place for another; nothing is told.

        """
        listener = _Listener(self._waiting + last)
        with closing(listener):
            with self._changed:
                if len(self._listeners) >= self._most:
                    hint = "end one that is no longer needed"
                    raise NetshareError(f"{self._most} others listen to the agent already", hint=hint)
                for line in [*self._past][-last:] if last else ():
                    listener.tell(line)
                self._listeners.add(listener)
                if not follow:
                    listener.complete()
            try:
                connection.sendall(encode(None))
                listener.serve(connection)
            except OSError:
                return  # it has hung up
            finally:
                with self._changed:
                    self._listeners.remove(listener)
                    self._changed.notify_all()

    def close(self) -> None:
        """End all who listen: what they have been told reaches those who read."""
        with self._changed:
            for listener in self._listeners:
                listener.cut()
            self._changed.wait_for(lambda: not self._listeners, _FAREWELL)
        super().close()


def _line(told: Event, level: str, seconds: float) -> bytes:
    at = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    document = {"schema": SCHEMA, "time": at, "level": level, **told.document()}
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"

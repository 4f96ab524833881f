"""A bounded pool of database connections that waits when all are in use.

psycopg2's own pools raise an error instead of waiting, which is of no use where hundreds of requests share twenty
connections. This one waits on `threading`'s primitives: a thread blocks, and where gevent has patched them, a greenlet
yields. It knows neither which of the two it is in, nor what kind of connections it keeps.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """What a connection must be able to do."""

    def close(self) -> None:
        """End it."""


C = TypeVar("C", bound=Closable)


class PoolExhaustedError(Exception):
    """All connections stayed in use for as long as one was ready to wait."""


class Pool(Generic[C]):
    """At most ``size`` connections, made when needed, handed to one user at a time, the last used first.

    ``is_alive`` is asked about a connection that lay idle before it is handed out, and must be quick.
    """

    def __init__(self, connect: Callable[[], C], is_alive: Callable[[C], bool], *, size: int, wait: float) -> None:
        self._connect = connect
        self._is_alive = is_alive
        self._free = BoundedSemaphore(size)
        self._wait = wait
        # deque's append and pop are atomic (CPython), so no lock is needed around them.
        self._idle: deque[C] = deque()

    @contextmanager
    def connection(self) -> Iterator[C]:
        """Lend a connection; one whose use ended in any exception is closed, since nobody knows what state it is in.

        Raises:
            PoolExhaustedError: none became free in time.

        """
        if not self._free.acquire(timeout=self._wait):
            raise PoolExhaustedError
        try:
            connection = self._take()
            try:
                yield connection
            except BaseException:  # a killed greenlet's too
                connection.close()
                raise
            self._idle.append(connection)
        finally:
            self._free.release()

    def close_idle(self) -> None:
        """Close the connections that nobody uses: when one turned out dead, the others probably are."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> C:
        while self._idle:
            connection = self._idle.pop()
            if self._is_alive(connection):
                return connection
            connection.close()
        return self._connect()

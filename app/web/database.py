"""PostgreSQL through psycopg2: one query worth waiting for, and one to see whether it is there."""

import select
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from app.web.pool import Pool, PoolExhaustedError
from app.web.problems import DatabaseUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg2.extensions import connection as Connection  # noqa: N812 (psycopg2 writes its classes in lower case)

_CONNECT_SECONDS = 3
_SPARE_SECONDS = 10.0
_DEFAULT_PORT = 5432


@dataclass(frozen=True, slots=True)
class Nap:
    """When PostgreSQL began to sleep and when it awoke, by its own clock, and which of its processes did."""

    now: datetime
    awake: datetime
    process: int


class Database:
    """A pool of connections to one database, opened when they are needed."""

    def __init__(self, url: str, *, connections: int, wait: float, longest_delay: float) -> None:
        self._dsn = parse_dsn(url) if url else {}
        # PostgreSQL itself ends what takes far too long, whatever became of the one who asked.
        milliseconds = int((longest_delay + _SPARE_SECONDS) * 1000)
        self._options = f"-c statement_timeout={milliseconds}"
        self._pool: Pool[Connection] = Pool(self._connect, _is_alive, size=connections, wait=wait)

    def sleep(self, seconds: float) -> Nap:
        """Have PostgreSQL sleep, and tell the time."""
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT now(), pg_sleep(%s), clock_timestamp(), pg_backend_pid()", (seconds,))
            [(now, _, awake, process)] = cursor.fetchall()
        return Nap(now, awake, process)

    def ping(self) -> None:
        """Ask it anything."""
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    @contextmanager
    def _connection(self) -> "Iterator[Connection]":
        """Lend a connection, and turn what databases do when they go away into one error."""
        lent: Connection | None = None
        try:
            with self._pool.connection() as lent:
                yield lent
        except PoolExhaustedError as error:
            raise DatabaseUnavailableError("all connections to the database are in use") from error
        except psycopg2.Error as error:
            # A connection that broke while waiting in psycopg2's green mode can end in a bare DatabaseError.
            gone = isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError))
            if not gone and (lent is None or not lent.closed):
                raise
            self._pool.close_idle()
            raise DatabaseUnavailableError("the database is not available") from error

    def _connect(self) -> "Connection":
        if not self._dsn:
            raise DatabaseUnavailableError("no database is set (DATABASE_URL)")
        dsn = make_dsn(**{"connect_timeout": _CONNECT_SECONDS, **self._dsn, **self._address()}, options=self._options)
        connection = psycopg2.connect(dsn)
        connection.autocommit = True  # each request is one statement
        return connection

    def _address(self) -> dict[str, str]:
        """Look the host's name up here: libpq would do it in C, out of gevent's reach, and block every greenlet."""
        host = self._dsn.get("host", "")
        if not host or host.startswith("/") or "hostaddr" in self._dsn:
            return {}
        try:
            found = socket.getaddrinfo(host, int(self._dsn.get("port", _DEFAULT_PORT)), type=socket.SOCK_STREAM)
        except OSError as error:
            raise DatabaseUnavailableError("the database's host is not known") from error
        return {"hostaddr": str(found[0][4][0])}


def _is_alive(connection: "Connection") -> bool:
    """Tell, without asking the server, whether a connection that lay idle is still open.

    PostgreSQL says nothing unasked, except good-bye: if there is something to read, it hung up.
    """
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)

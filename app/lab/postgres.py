"""A PostgreSQL of one's own: a cluster in a directory, started, stopped and started again."""

import os
import pwd
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psycopg2

from app.lab.processes import Server, free_port

_PROGRAMS = "/usr/lib/postgresql"  # Debian keeps each version's programs out of PATH
_DATABASE = "postgres"
_USER = "app"
_OWNERS = ("postgres", "nobody")


def programs() -> Path | None:
    """Find the directory with PostgreSQL's own programs, the newest version's."""
    found = sorted(Path(_PROGRAMS).glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("postgres")
    return Path(elsewhere).resolve().parent if elsewhere else None


class Postgres:
    """A cluster below a directory, listening on a port of the loopback; `up` and `down` as often as one likes.

    PostgreSQL refuses to run as root, so root runs it as the user that Debian's package made for it. That user must be
    able to reach the directory.
    """

    def __init__(self, directory: Path, *, connections: int = 200) -> None:
        where = programs()
        if where is None:
            raise FileNotFoundError("postgres: it is in Debian's package postgresql")
        self._programs = where
        self._data = directory / "data"
        self._log = directory / "postgres.log"
        self._connections = connections
        self._owner = _owner()
        self.port = free_port()
        if self._owner is not None:
            shutil.chown(directory, self._owner)
        subprocess.run(
            [where / "initdb", "-D", self._data, "-U", _USER, "--auth=trust", "--no-sync", "--no-locale", "-E", "UTF8"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            user=self._owner,
            cwd=directory,
        )
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"postgresql://{_USER}@localhost:{self.port}/{_DATABASE}"

    def up(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": self._connections,
            "fsync": "off",
            "jit": "off",
        }
        self._server = Server(
            [str(self._programs / "postgres"), "-D", str(self._data), *(f"--{k}={v}" for k, v in settings.items())],
            self._log,
            user=self._owner,
            cwd=self._data,
        )
        self._server.wait_until(self._answers)

    def down(self) -> None:
        """Stop it as an admin does: who is connected is told so and cut off. A second time does nothing."""
        if self._server is not None:
            self._server.stop(signal.SIGINT)
            self._server = None

    def _answers(self) -> bool:
        with suppress(psycopg2.OperationalError):
            psycopg2.connect(self.url, connect_timeout=2).close()
            return True
        return False


def _owner() -> str | None:
    """Name the user to run it as, ``None``: the one that asks."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _OWNERS if name in known)

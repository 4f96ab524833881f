"""What the tests' servers run on: an upstream, a database, and a place for logs."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from app.lab import servers
from app.lab.postgres import programs
from app.lab.processes import Server, free_port
from app.serve.options import Bind, Kind, Protocol
from tests.app.gate import Gate
from tests.prerequisites import root


@dataclass(frozen=True, slots=True)
class Running:
    """A server, and where it is reached."""

    bind: Bind
    process: Server


@dataclass(frozen=True, slots=True)
class Stage:
    """Starts servers whose slow API is the gate, and whose database is that of the tests, if they have one."""

    directory: Path
    gate: Gate
    database_url: str = ""
    numbers: Iterator[int] = field(default_factory=count)

    @contextmanager
    def serving(
        self, kind: Kind, *words: str, environment: Mapping[str, str] | None = None, protocol: Protocol = Protocol.HTTP
    ) -> Iterator[Running]:
        """Have a server run, and answer."""
        bind = Bind("127.0.0.1", free_port())
        settings = {
            "UPSTREAM_URL": self.gate.url,
            "DATABASE_URL": self.database_url,
            "APP_REPLICA": f"replica-{kind}",
            **(environment or {}),
        }
        with servers.serve(kind, bind, self.log(kind), settings, f"--protocol={protocol}", *words) as process:
            is_ready = servers.is_healthy if protocol is Protocol.HTTP else servers.is_up
            yield Running(bind, process.wait_until(lambda: is_ready(bind)))

    def starting(self, kind: Kind, *words: str) -> Server:
        """Start a server, and wait for nothing."""
        bind = Bind("127.0.0.1", free_port())
        return servers.serve(kind, bind, self.log(kind), {"UPSTREAM_URL": self.gate.url}, *words)

    @contextmanager
    def fronted(self, protocol: Protocol, *upstreams: Bind) -> Iterator[Running]:
        """Have Nginx run in front of servers."""
        bind = Bind("127.0.0.1", free_port())
        with servers.nginx(protocol, bind, upstreams, self.log("nginx")) as process:
            yield Running(bind, process.wait_until(lambda: servers.is_healthy(bind)))

    def log(self, name: str) -> Path:
        """Give a file for what a process says."""
        return self.directory / f"{name}-{next(self.numbers)}.log"


def postgres() -> str | None:
    """Check for PostgreSQL, and that it can be run: it refuses to be root, also of a user namespace."""
    if programs() is None:
        return "needs the program postgres"
    return may_change_user()


def may_change_user() -> str | None:
    """Check that root may become another user, as Nginx and PostgreSQL want: not in a user namespace."""
    return root() if os.geteuid() == 0 else None

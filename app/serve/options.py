"""What the servers are told, whichever it is."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Self


class Kind(StrEnum):
    """A way to serve the application."""

    DEV = "dev"
    DEV_THREADS = "dev-threads"
    GUNICORN = "gunicorn"
    UWSGI = "uwsgi"
    PYWSGI = "pywsgi"
    GUNICORN_GEVENT = "gunicorn-gevent"
    UWSGI_GEVENT = "uwsgi-gevent"


class Protocol(StrEnum):
    """What a server speaks."""

    HTTP = "http"
    UWSGI = "uwsgi"


@dataclass(frozen=True, slots=True)
class Bind:
    """Where a server listens."""

    address: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``ADDR:PORT``; an IPv6 address stands in brackets."""
        address, _, port = text.rpartition(":")
        if not port.isascii() or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise ValueError(f"{text!r} does not end with a port, such as :8080")
        return cls(str(ip_address(address.strip("[]"))), int(port))

    def __str__(self) -> str:
        """Write ``ADDR:PORT``."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Options:
    """Where a server listens, how many of what it has, and how long it may finish what is in flight, in seconds."""

    bind: Bind
    workers: int
    threads: int
    greenlets: int
    protocol: Protocol
    grace: int

"""The benchmarks' own client and echo server, compiled from traffic.c, and what it prints as data."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from netshare.core.model import Endpoint
from netshare.lab.namespace import Namespace
from scripts.benchmarks.processes import run

_SOURCE = Path(__file__).with_name("traffic.c")


@dataclass(frozen=True, slots=True)
class Paced:
    """What became of requests at a fixed rate; times are microseconds from when each was due.

    ``repeated`` are those that a kept connection was closed under, and that were answered, or failed, on another.
    """

    due: int
    answered: int
    repeated: int
    seconds: float
    us: Mapping[str, float]
    failed: Mapping[str, int]

    @property
    def failures(self) -> int:
        """How many failed, in whatever way."""
        return sum(self.failed.values())


@dataclass(frozen=True, slots=True)
class Datagrams:
    """Datagrams with replies."""

    replies: int
    lost: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Firsts:
    """How long the first and the second datagram of new flows took to come back, microseconds."""

    flows: int
    lost: int
    first: Mapping[str, float]
    second: Mapping[str, float]


def read_paced(said: str) -> Paced:
    """Read what such a run prints."""
    return TypeAdapter(Paced).validate_json(said)


class Traffic:
    """The program, compiled."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "traffic")
        self.processor: int | None = None
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", self.path, _SOURCE], check=True)

    def paced(
        self, namespace: Namespace, to: Endpoint, *, rate: float, seconds: float, keep: bool, connections: int = 256
    ) -> Paced:
        """Send requests at a fixed rate: over connections that stay open, or a connection for each."""
        command = self.paced_command(to, rate=rate, seconds=seconds, keep=keep, connections=connections)
        return read_paced(run(namespace, command))

    def paced_command(
        self,
        to: Endpoint,
        *,
        rate: float,
        seconds: float,
        keep: bool,
        connections: int = 256,
        again: bool = False,
        patience: int = 2,
    ) -> list[str]:
        """Say how it is called for that.

        ``again``: to repeat what was lost with a kept connection; ``patience`` are the seconds an answer may take.
        """
        how = "again" if again else "keep" if keep else "close"
        words = [self.path, "paced", str(to.address), str(to.port), f"{rate:g}", f"{seconds:g}", str(connections), how]
        return [*words, str(patience)]

    def datagrams(self, namespace: Namespace, to: Endpoint, *, flows: int, seconds: float) -> Datagrams:
        """Send datagrams, in each flow the next as soon as the reply is there."""
        words = [self.path, "datagrams", str(to.address), str(to.port), str(flows), f"{seconds:g}"]
        return TypeAdapter(Datagrams).validate_json(run(namespace, words))

    def first(self, namespace: Namespace, to: Endpoint, *, flows: int) -> Firsts:
        """Begin flows, one after the other, on the processor that the echo server was pinned to, if it was."""
        pinned = ["taskset", "--cpu-list", str(self.processor)] if self.processor is not None else []
        words = [*pinned, self.path, "first", str(to.address), str(to.port), str(flows)]
        return TypeAdapter(Firsts).validate_json(run(namespace, words))

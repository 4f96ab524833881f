"""What a side is: a way to bring a client of the host to one of several replicas."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from scripts.benchmarks.bed import Bed, Front, Kind, Served
from scripts.benchmarks.processes import Process, accepts, missing, running


class Side(Protocol):
    """One of those that are compared."""

    @property
    def name(self) -> str:
        """What tables and plots call it."""

    def lacks(self) -> str | None:
        """Say what this machine lacks to measure it."""

    def serve(self, bed: Bed) -> AbstractContextManager[Served]:
        """Have it serve for as long as the block lasts."""


def listening(process: Process, bed: Bed, fronts: Sequence[Front]) -> None:
    """Wait until a process of the host takes TCP connections at the fronts' ports."""
    for front in fronts:
        if front.kind is not Kind.DATAGRAMS:
            process.wait_until(partial(accepts, bed.client, bed.lab.at(front.port)))


@dataclass(frozen=True, slots=True)
class Proxy:
    """A process of the host that takes connections and opens others to replicas.

    ``configure`` is given the fronts and a directory, writes its files there, and says how it is called.
    """

    name: str
    program: str
    kinds: tuple[Kind, ...]
    configure: Callable[[Sequence[Front], Path], Sequence[str]]
    replicas: int = 3

    def lacks(self) -> str | None:
        """Look for its program."""
        return missing(self.program)

    @contextmanager
    def serve(self, bed: Bed) -> Iterator[Served]:
        """Run it."""
        fronts = [front for front in bed.fronts(self.replicas) if front.kind in self.kinds]
        directory = bed.log(self.program)
        directory.mkdir()
        command = self.configure(fronts, directory)
        process = Process(bed.host, command, directory / "log", environment={"HOME": str(directory)})
        with running(process):
            listening(process, bed, fronts)
            yield bed.served(self.kinds, process)


def save(directory: Path, name: str, content: object) -> str:
    """Write a configuration, data as JSON (which YAML takes, too); gives its path."""
    path = directory / name
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="ascii")
    return str(path)

"""No side at all: the client knows a replica's own address, and the host only routes.

All others are compared with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scripts.benchmarks.bed import Bed, Served


@dataclass(frozen=True, slots=True)
class Direct:
    """The client connects to the first replica."""

    name: str = "direct to a replica"

    def lacks(self) -> str | None:
        """Nothing is needed."""
        return None

    @contextmanager
    def serve(self, bed: Bed) -> Iterator[Served]:
        """Give the replica's own addresses; the host has neither rules nor connection tracking."""
        yield Served(bed.client, {front.kind: front.endpoints[0] for front in bed.fronts(1)}, (), bed.backend.pids)

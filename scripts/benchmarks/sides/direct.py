"""No side at all: the client knows a replica's own address, and the host only routes.

All others are compared with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scripts.benchmarks.bed import Bed, Served
from scripts.benchmarks.processes import missing, run

# Any rule that asks for a packet's connection makes the kernel track all of them.
_TRACKING = """\
table inet tracking {
    chain forward {
        type filter hook forward priority filter; policy accept;
        ct state established accept
    }
}
"""


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


@dataclass(frozen=True, slots=True)
class Tracked:
    """The same, but the host tracks connections: what every side that uses NAT pays, whatever its rules."""

    name: str = "direct, connections tracked"

    def lacks(self) -> str | None:
        """Look for nft."""
        return missing("nft")

    @contextmanager
    def serve(self, bed: Bed) -> Iterator[Served]:
        """Load a rule that asks for connections, and changes nothing."""
        run(bed.host, ["nft", "-f", "-"], given=_TRACKING)
        with Direct().serve(bed) as served:
            yield served

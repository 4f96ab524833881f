"""Endpoints that take connections, or refuse them."""

from collections.abc import Mapping, Sequence

from netshare.core.health import Probe


class Doors:
    """Who knocks at endpoints; all but the ``closed`` ones open. What was knocked at is remembered."""

    def __init__(self, *closed: str) -> None:
        self.closed = set(closed)
        self.knocks: list[str] = []

    def __call__(self, probes: Sequence[Probe]) -> Mapping[Probe, str | None]:
        self.knocks += [str(probe.endpoint) for probe in probes]
        return {probe: "connection refused" if str(probe.endpoint) in self.closed else None for probe in probes}

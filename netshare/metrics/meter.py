"""What is measured while the agent works: how long its reconciles take, what fails, what its probes find.

The loop's thread and that of the probes write, a scrape reads; none of them waits for another longer than for a number.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from netshare.core.event import Stage
from netshare.core.health import Probe
from netshare.errors import NetshareError
from netshare.reconcile import Prepared

if TYPE_CHECKING:
    from netshare.core.ruleset import Ruleset

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds: from one element changed in the kernel to a host of ten thousand services read anew."""

Asking = Callable[[Probe], Awaitable[str | None]]


class Meter:
    """Measures one agent; ``prepared`` is what its last reconcile that went well came to."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.prepared: Prepared | None = None
        self._held: Ruleset | None = None
        self._lap_began = 0.0

        def histogram(name: str, words: str, *labels: str) -> Histogram:
            return Histogram(f"netshare_{name}", words, labels, registry=registry, buckets=_BUCKETS)

        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"netshare_{name}", words, labels, registry=registry)

        self._reconcile = histogram("reconcile_seconds", "How long reconciles took that did not fail.")
        self._stage = histogram("reconcile_stage_seconds", "How long each stage of a reconcile took.", "stage")
        self._event = histogram(
            "event_to_kernel_seconds", "From an engine's event, by its own clock, to the change in the kernel."
        )
        self._reconciles = counter("reconciles", "Reconciles, by what became of them.", "result")
        self._errors = counter("reconcile_errors", "Reconciles that failed, by the error's code.", "code")
        self._drift = counter("drift_repaired", "Changes by others to what netshare holds in the kernel, put right.")
        self._flows = counter("flows_ended", "Tracked flows that were ended since their replica was gone.")
        self._probe = histogram("health_probe_seconds", "How long health probes took, by their outcome.", "outcome")
        self._last = Gauge(
            "netshare_last_reconcile_timestamp_seconds", "When a reconcile last went well.", registry=registry
        )
        for result in ("changed", "unchanged", "failed"):
            self._reconciles.labels(result)
        for code in sorted(_codes(NetshareError)):
            self._errors.labels(code)

    def begin(self) -> None:
        """Hear that a reconcile begins."""
        self._lap_began = time.perf_counter()

    def lap(self, stage: Stage) -> None:
        """Hear that one of its stages is over, and the next one begins."""
        now = time.perf_counter()
        self._stage.labels(stage.value).observe(now - self._lap_began)
        self._lap_began = now

    def reconciled(self, prepared: Prepared, seconds: float, since_event: float | None) -> None:
        """Hear what a reconcile came to, how long it took, and the seconds since the event it answers."""
        change = prepared.change
        is_drift = self._held is not None and change.before is not self._held and change.before != self._held
        if is_drift or (self._held is not None and not prepared.observation.intact and change.rebuild):
            self._drift.inc()
        self._held = change.after
        self._reconcile.observe(seconds)
        self._reconciles.labels("unchanged" if change.is_empty else "changed").inc()
        self._flows.inc(prepared.cleaned.ended)
        if since_event is not None and not change.is_empty:
            self._event.observe(max(0.0, since_event))
        self._last.set_to_current_time()
        self.prepared = prepared

    def failed(self, error: NetshareError) -> None:
        """Hear that one failed."""
        self._reconciles.labels("failed").inc()
        self._errors.labels(error.code).inc()

    def measured(self, probe: Asking) -> Asking:
        """Have every probe timed."""

        async def ask(wanted: Probe) -> str | None:
            began = time.perf_counter()
            outcome = "not_asked"
            try:
                failure = await probe(wanted)
                outcome = "passed" if failure is None else "failed"
            finally:
                self._probe.labels(outcome).observe(time.perf_counter() - began)
            return failure

        return ask


def _codes(kind: type[NetshareError]) -> set[str]:
    return {kind.code}.union(*map(_codes, kind.__subclasses__()))

"""The loop: a hint comes, everything is reconciled, and the outcome is told of (`netshare.agent.report`).

It reconciles at once when idle, not more often than every ``least`` seconds under a burst, again after ``retry``
seconds when something failed, when the deadline of a drain is over, and in any case every ``most`` seconds.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from netshare.agent.inbox import Hint, Inbox
from netshare.agent.report import Reporter
from netshare.core.draining import next_deadline
from netshare.core.model import ReplicaState
from netshare.core.plan import ServiceReplicas
from netshare.core.ruleset import Match
from netshare.errors import NetshareError
from netshare.host import Host
from netshare.reconcile import Prepared, reconcile

_CAUSES = 5

_LATE = 0.002
"""Seconds by which a deadline is met late, so that it is over whatever the clocks make of it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to reconcile, in seconds."""

    least: float = 0.01
    retry: float = 0.5
    most: float = 30.0


class Reservation(Protocol):
    """Ports that are kept from everyone else for as long as the agent runs."""

    def reserve(self, matches: Set[Match]) -> None:
        """Hold the ports of these, and of nothing else."""

    def close(self) -> None:
        """Let go of all of them."""


class Probing(Protocol):
    """Probes of replicas that go on between reconciles."""

    def watch(self, services: Iterable[ServiceReplicas], kept: Set[str]) -> None:
        """Probe the replicas of these, and go on with those of ``kept`` services."""


class Supervisor(Protocol):
    """Whoever started the agent, and starts it again when it is not heard of."""

    def reconciled(self, state: str, *, went_well: bool) -> None:
        """Hear that the loop has gone round once more, and how things stand."""


class Meter(Protocol):
    """Whoever measures reconciles."""

    def begin(self) -> None:
        """Hear that one begins."""

    def reconciled(self, prepared: Prepared, seconds: float, since_event: float | None) -> None:
        """Hear what it came to, how long it took, and the seconds since the event that it answers."""

    def failed(self, error: NetshareError) -> None:
        """Hear that it failed."""


class Loop:
    """Reconciles for ever, in the thread that runs it."""

    def __init__(
        self,
        host: Host,
        inbox: Inbox,
        pace: Pace | None = None,
        clock: Callable[[], int] = time.time_ns,
        reservation: Reservation | None = None,
        probing: Probing | None = None,
        supervisor: Supervisor | None = None,
        meter: Meter | None = None,
    ) -> None:
        """``clock`` tells the time in nanoseconds since 1970, as the engines' events do."""
        self._host = host
        self._inbox = inbox
        self._pace = pace or Pace()
        self._reservation = reservation
        self._probing = probing
        self._supervisor = supervisor
        self._clock = clock
        self._reporter = Reporter()
        self._meter = meter
        self._kept: frozenset[str] = frozenset()
        self._deadline = math.inf
        self._is_thorough = True  # what was done before, by others or not to the end, is not trusted

    def run(self) -> None:
        """Reconcile on every hint until the inbox is closed; what the kernel holds then stays."""
        hints: Sequence[Hint] | None = [Hint("start")]
        failures = 0
        while hints is not None:
            failures = 0 if self._reconcile(hints or [Hint("timer")]) else failures + 1
            self._inbox.pause(self._pace.least)
            patience = self._pace.retry * 2 ** min(failures - 1, 6) if failures else self._until_deadline()
            hints = self._inbox.take(min(patience, self._pace.most))

    def _until_deadline(self) -> float:
        """Seconds until the next deadline of a drain; one that has come since the last reconcile is seen to at once."""
        return max(0.0, self._deadline - self._host.drains.now()) + _LATE

    def _reconcile(self, hints: Sequence[Hint]) -> bool:
        """Do it once; whether it went well."""
        cause = _named(hints)
        started = time.perf_counter()
        if self._meter is not None:
            self._meter.begin()
        try:
            prepared = reconcile(self._host, thorough=self._is_thorough)
        except NetshareError as error:
            self._is_thorough = True
            self._reporter.failed(cause, error)
            if self._meter is not None:
                self._meter.failed(error)
            self._tell(f"failed: {error.message}", went_well=False)
            _resolve(hints, error)
            return False
        problem = prepared.cleaned.problem
        # What is known of a service again may tell of flows that were left alone until now.
        self._is_thorough = problem is not None or bool(self._kept - prepared.kept)
        self._kept = prepared.kept
        self._deadline = next_deadline(prepared.drains, prepared.now)
        if self._reservation is not None:
            self._reservation.reserve(prepared.change.after.dispatches.keys())
        if self._probing is not None:
            self._probing.watch(prepared.services, prepared.kept)
        seconds, since_event = time.perf_counter() - started, self._since(hints)
        self._reporter.done(prepared, cause, seconds, since_event)
        if self._meter is not None:
            self._meter.reconciled(prepared, seconds, since_event)
        self._tell(_state(prepared), went_well=True)
        _resolve(hints, None)
        return problem is None

    def _since(self, hints: Iterable[Hint]) -> float | None:
        """Seconds since the first event of an engine among these."""
        happened = min((hint.time_ns for hint in hints if hint.time_ns), default=0)
        return (self._clock() - happened) / 1e9 if happened else None

    def _tell(self, state: str, *, went_well: bool) -> None:
        if self._supervisor is not None:
            self._supervisor.reconciled(state, went_well=went_well)


def _state(prepared: Prepared) -> str:
    """Say in a line how things stand."""
    states = [replica.state for item in prepared.services for replica in item.replicas]
    known = f"services {len(prepared.services)}, replicas ready {states.count(ReplicaState.READY)} of {len(states)}"
    kept = f", services kept as they were {len(prepared.kept)}" if prepared.kept else ""
    return "; ".join((f"{known}{kept}", *(problem.message for problem in prepared.problems)))


def _named(hints: Iterable[Hint]) -> str:
    """Say what gave rise to a reconcile: of a burst, its beginning."""
    causes = list(dict.fromkeys(hint.cause for hint in hints))
    more = f" and {len(causes) - _CAUSES} more" if len(causes) > _CAUSES else ""
    return ", ".join(causes[:_CAUSES]) + more


def _resolve(hints: Sequence[Hint], error: NetshareError | None) -> None:
    for hint in hints:
        if hint.done is None:
            continue
        if error is None:
            hint.done.set_result(None)
        else:
            hint.done.set_exception(error)

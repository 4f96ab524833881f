"""What probes have told of an endpoint so far, and when to ask again.

Pure: outcomes, the time and random draws are handed in. An endpoint of which nothing is known, or that never was well,
needs one success to be healthy; one that fell needs ``rise`` of them in a row; ``fall`` failures in a row fell it.
One that nobody checks, as its image has no HEALTHCHECK, is knocked at until it takes a connection, and never again.
What follows from it for new connections, `netshare.core.judging` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from netshare.core.model import Endpoint, HealthCheck

JITTER = 0.1
"""How much earlier than asked for a probe may come, so that many do not come at once: never later."""
SUSPECTED_PACE = 0.5
"""Seconds between probes of an endpoint that leaves clients waiting and has failed one already."""
KNOCKING = 10.0
"""Seconds after which one that takes no connection, perhaps only from here, is given its clients' all the same."""
_FIRST_PACE, _PACE_GROWS, _LAST_PACE = 0.02, 1.5, 1.0
"""Seconds between two knocks at first, how much longer the next takes, and the seconds it is at most."""
GRACE = 60.0
"""Seconds for which a verdict is believed after the time in which it could have been another."""


class Standing(StrEnum):
    """What is thought of an endpoint."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Probe:
    """What is asked over and over: an endpoint of a replica, for one service, in one way."""

    service: str
    replica: str
    endpoint: Endpoint
    check: HealthCheck

    @property
    def host(self) -> str:
        """The Host header: a replica's own address would be a stranger to a server with virtual hosts."""
        return self.check.host or self.service.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it so far.

    ``passed`` and ``failed`` count in a row, and only towards another standing. ``since`` is when it became what it is;
    ``reason`` is why the last probe failed.
    """

    standing: Standing = Standing.UNKNOWN
    passed: int = 0
    failed: int = 0
    was_healthy: bool = False
    since: float = 0.0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """All that is known; ``is_probed`` is whether somebody is there who will find out more."""

    by_probe: Mapping[Probe, Verdict] = field(default_factory=lambda: MappingProxyType({}))
    is_probed: bool = False


def after(verdict: Verdict, failure: str | None, check: HealthCheck, now: float) -> Verdict:
    """Count one more outcome: why it failed, or nothing."""
    if not check.is_probed:
        return _after_knock(verdict, failure, now)
    if failure is None:
        return _after_success(verdict, check, now)
    if verdict.standing is Standing.UNHEALTHY:
        return replace(verdict, passed=0, reason=failure)
    failed = verdict.failed + 1
    if failed < check.fall:
        return replace(verdict, failed=failed, reason=failure)
    return replace(verdict, standing=Standing.UNHEALTHY, failed=0, since=now, reason=failure)


def _after_knock(verdict: Verdict, failure: str | None, now: float) -> Verdict:
    since = verdict.since if verdict.failed else now
    if failure is None or now - since >= KNOCKING:
        return Verdict(Standing.HEALTHY, was_healthy=True, since=now, reason=failure)
    return replace(verdict, failed=verdict.failed + 1, since=since, reason=failure)


def is_settled(verdict: Verdict, check: HealthCheck) -> bool:
    """Whether nothing needs to be asked any more: that somebody took a connection once is all that was to be known."""
    return not check.is_probed and verdict.standing is Standing.HEALTHY


def _after_success(verdict: Verdict, check: HealthCheck, now: float) -> Verdict:
    if verdict.standing is Standing.HEALTHY:
        return replace(verdict, failed=0, reason=None)
    passed = verdict.passed + 1
    # One that has only just come up is wanted at once; only one that fell has to show that it stays up.
    if passed < check.rise and verdict.was_healthy:
        return replace(verdict, passed=passed)
    return Verdict(Standing.HEALTHY, was_healthy=True, since=now)


def delay(verdict: Verdict, check: HealthCheck, draw: float, *, suspected: bool = False) -> float:
    """Say how long after the beginning of one probe the next begins; ``draw`` is from 0 to 1.

    After a first failure they follow closer, by as much as waiting for the last one may take: so an endpoint that
    answers nothing at all is unhealthy no later than ``fall`` intervals after its last answer, as one that refuses is.
    One that is ``suspected``, since clients wait for it in vain, is asked faster still. One that is only knocked at is
    asked soon at first, as it has just been started, and less and less often.
    """
    if not check.is_probed:
        pace = min(_FIRST_PACE * _PACE_GROWS ** min(verdict.failed, 20), _LAST_PACE)
        return pace * (1 - JITTER * draw)
    pace = check.interval
    if verdict.failed and verdict.standing is not Standing.UNHEALTHY:
        # It has failed and is not felled, so `fall` is 2 or more.
        pace = max(pace - check.timeout / (check.fall - 1), check.timeout)
        if suspected:
            pace = min(pace, SUSPECTED_PACE)
    return pace * (1 - JITTER * draw)


def is_fresh(age: float, check: HealthCheck) -> bool:
    """Whether a verdict that was last renewed so many seconds ago says anything still."""
    return 0 <= age <= check.fall * check.interval + GRACE

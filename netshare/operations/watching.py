"""Looking at a status again and again: who gets how many new connections a second, at a price that is bounded.

A whole look lists containers, reads the kernel's tables and judges every replica: seconds, with thousands of services.
The counters alone are read in a fraction of that. So a whole look is taken when there is news, and not even then more
often than its price allows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from netshare.core.plan import targets
from netshare.core.rates import Counts, rates
from netshare.core.ruleset import Target
from netshare.host import Host
from netshare.operations.control import AgentControl, Clock
from netshare.operations.status import Connections, ReplicaStatus, ServiceStatus, Status, status

_REST = 4
"""For how many times as long as a look took there is none of its kind: each takes a fifth of one processor at most."""
_STALE = 30.0
"""Seconds after which a whole look is due with no news either: as often as the agent itself looks again."""


class News(Protocol):
    """Whoever hears of changes."""

    def came(self) -> bool:
        """Whether something may be other than when this was last asked."""


class NoNews:
    """Nobody to hear from: anything may have changed at any time."""

    def came(self) -> bool:
        """Say that it may."""
        return True


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen, with rates; ``rate`` and ``active`` are of all of it, an endpoint of several services once."""

    status: Status
    rate: float | None
    active: int


@dataclass(frozen=True, slots=True)
class _Counted:
    """A service as it stood at the last whole look, and what is counted of each of its replicas."""

    item: ServiceStatus
    targets: tuple[frozenset[Target], ...]


class Watch:
    """Looks at every service, or at one, whenever it is asked to."""

    def __init__(
        self,
        host: Host,
        agent: AgentControl,
        connections: Connections,
        clock: Clock,
        *,
        name: str | None = None,
        news: News | None = None,
    ) -> None:
        self._host = host
        self._agent = agent
        self._connections = connections
        self._clock = clock
        self._name = name
        self._news = news or NoNews()
        self._whole: Status | None = None
        self._services: tuple[_Counted, ...] = ()
        self._targets: frozenset[Target] = frozenset()
        self._counts: Counts | None = None
        self._is_new = True
        self._not_before = 0.0
        self._latest = 0.0
        self._began = 0.0
        self._ended = 0.0
        self._took = 0.0

    def look(self) -> Look:
        """Look now.

        Raises:
            NetshareError: what `status` raises; the next look is a whole one.

        """
        self._began = self._clock.monotonic()
        try:
            whole = self._look_at_all()
            counting = self._clock.monotonic()
            counts = Counts(counting, self._host.driver.connections())
            seen = self._counted(whole, counts, self._connections.active())
        except BaseException:
            self._whole = None
            raise
        self._ended = self._clock.monotonic()
        self._took = self._ended - counting
        self._counts = counts
        return seen

    def rest(self, interval: float) -> float:
        """Tell the seconds until the next look: ``interval`` after the last one began, where looks take little time."""
        now = self._clock.monotonic()
        return max(0.0, self._began + interval - now, self._ended + _REST * self._took - now)

    def _look_at_all(self) -> Status:
        """Take a whole look where one is due, else remember the last."""
        began = self._began
        self._is_new = self._news.came() or self._is_new
        if self._whole is not None and (began < self._not_before or not (self._is_new or began > self._latest)):
            return replace(self._whole, agent=replace(self._whole.agent, pid=self._agent.pid()))
        self._whole = status(self._host, self._agent, self._connections, self._name)
        self._services = tuple(
            _Counted(item, tuple(targets(each.replica) for each in item.replicas)) for item in self._whole.services
        )
        self._targets = frozenset(target for each in self._services for own in each.targets for target in own)
        now = self._clock.monotonic()
        self._is_new = False
        self._not_before, self._latest = now + _REST * (now - began), now + _STALE
        return self._whole

    def _counted(self, whole: Status, counts: Counts, active: Mapping[Target, int]) -> Look:
        """Put what is counted now in place of what was."""
        rising, now = None if self._counts is None else rates(self._counts, counts), self._host.drains.now()
        services = tuple(
            replace(
                each.item,
                replicas=tuple(
                    replace(_recounted(replica, own, counts.totals, active, rising), drain=replica.drain, now=now)
                    for replica, own in zip(each.item.replicas, each.targets, strict=True)
                ),
            )
            for each in self._services
        )
        return Look(
            replace(whole, services=services),
            None if rising is None else sum(rising.get(target, 0.0) for target in self._targets),
            sum(active.get(target, 0) for target in self._targets),
        )


def _recounted(
    found: ReplicaStatus,
    own: frozenset[Target],
    totals: Mapping[Target, int],
    active: Mapping[Target, int],
    rising: Mapping[Target, float] | None,
) -> ReplicaStatus:
    return ReplicaStatus(
        found.replica,
        sum(totals.get(target, 0) for target in own),
        sum(active.get(target, 0) for target in own),
        None if rising is None else sum(rising.get(target, 0.0) for target in own),
    )

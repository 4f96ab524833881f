"""What the agent tells of each reconcile: what is new, once, and in the words of `netshare.core.event`."""

import logging
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from netshare.core.draining import Drain, Key, by_key
from netshare.core.event import Event, Stage, Value, event
from netshare.core.judging import is_failing_open
from netshare.core.model import Replica, ReplicaState
from netshare.core.obstacle import Obstacle
from netshare.core.plan import ServiceReplicas
from netshare.errors import NetshareError
from netshare.reconcile import Prepared

if TYPE_CHECKING:
    from netshare.core.labelled import Notice

_log = logging.getLogger(__name__)
_Standing = tuple[ReplicaState, int]
_Replicas = Mapping[tuple[str, str, str], _Standing]


class Reporter:
    """Remembers what it has told."""

    def __init__(self) -> None:
        self._problems: tuple[str, ...] = ()
        self._notices: frozenset[Notice] = frozenset()
        self._obstacles: tuple[Obstacle, ...] = ()
        self._failing_open: frozenset[str] = frozenset()
        self._replicas: _Replicas | None = None
        self._drains: Mapping[Key, Drain] = {}

    def failed(self, cause: str, error: NetshareError) -> None:
        """Tell of a reconcile that changed nothing."""
        _log.error(event(Stage.RECONCILE, cause=cause, failed=error.code, reason=error.message))

    def done(self, prepared: Prepared, cause: str, seconds: float, since_event: float | None) -> None:
        """Tell of one that went well, though something may have been left; times are in seconds."""
        self._tell_problems(prepared)
        self._tell_replicas(prepared.services)
        self._tell_drains(prepared)
        self._tell_fail_open(prepared.services)
        self._tell_obstacles(prepared.obstacles)
        _tell_change(prepared, cause, seconds, since_event)

    def _tell_problems(self, prepared: Prepared) -> None:
        problems = tuple(problem.message for problem in prepared.problems)
        for problem in problems:
            if problem not in self._problems:
                _log.warning(event(Stage.OBSERVE, problem=problem, kept=",".join(sorted(prepared.kept))))
        for notice in prepared.notices:
            if notice not in self._notices:
                about = {"container": notice.container, "engine": notice.engine, "service": notice.service}
                _log.warning(event(Stage.LABEL, **about, reason=notice.reason))
        self._notices = frozenset(prepared.notices)
        left = prepared.cleaned.problem
        if left is not None and left.message not in self._problems:
            _log.warning(event(Stage.CLEAN, problem=left.message, hint=left.hint))
        self._problems = (*problems, left.message) if left else problems

    def _tell_replicas(self, services: Iterable[ServiceReplicas]) -> None:
        """Tell of replicas that came, went, or are in another state; those that were there from the start are known."""
        found = {(item.service.name, each.engine, each.name): each for item in services for each in item.replicas}
        now = {key: (replica.state, replica.weight) for key, replica in found.items()}
        before, self._replicas = self._replicas, now
        if before is None or before == now:
            return
        for key in (key for key in now if now[key] != before.get(key)):
            self._tell_replica(key, found[key], before.get(key))
        for service, engine, name in before.keys() - now.keys():
            _log.info(event(Stage.JUDGE, service=service, replica=name, engine=engine, state="gone"))

    def _tell_replica(self, key: tuple[str, str, str], replica: Replica, before: _Standing | None) -> None:
        service, engine, name = key
        was, weight = before or (None, None)
        told = event(
            Stage.JUDGE,
            service=service,
            replica=name,
            engine=engine,
            state=replica.state,
            was=was,
            weight=None if replica.weight == weight else replica.weight,
            reason=replica.reason,
        )
        _log.log(logging.WARNING if replica.state is ReplicaState.UNHEALTHY else logging.INFO, told)

    def _tell_drains(self, prepared: Prepared) -> None:
        """Tell of drains that began, were cut, and are no more."""
        drains, noted = by_key(prepared.drains), by_key(prepared.noted or ())
        for key, drain in drains.items():
            before = self._drains.get(key)
            if before is None or before.deadline != drain.deadline:
                to_go = drain.to_go(prepared.now) if math.isfinite(drain.deadline) else "none"
                _log.info(_of_drain(drain, seconds_to_go=to_go))
            if drain.cut is not None and (key not in noted or noted[key].cut is None):
                level = logging.WARNING if drain.cut else logging.INFO
                _log.log(level, _of_drain(drain, deadline="over", cut=drain.cut))
        for key, drain in self._drains.items():
            if key not in drains:
                _log.info(_of_drain(drain, end=True))
        self._drains = drains

    def _tell_fail_open(self, services: Iterable[ServiceReplicas]) -> None:
        failing_open = frozenset(item.service.name for item in services if any(map(is_failing_open, item.replicas)))
        for name in sorted(failing_open - self._failing_open):
            _log.warning(event(Stage.JUDGE, service=name, fail_open=True, reason="no replica is healthy"))
        for name in sorted(self._failing_open - failing_open):
            _log.info(event(Stage.JUDGE, service=name, fail_open=False))
        self._failing_open = failing_open

    def _tell_obstacles(self, obstacles: tuple[Obstacle, ...]) -> None:
        for obstacle in obstacles:
            if obstacle not in self._obstacles:
                _log.warning(event(Stage.FORWARD, obstacle=obstacle.message, hint=obstacle.mend))
        for obstacle in self._obstacles:
            if obstacle not in obstacles:
                _log.info(event(Stage.FORWARD, obstacle_gone=obstacle.message))
        self._obstacles = obstacles


def _tell_change(prepared: Prepared, cause: str, seconds: float, since_event: float | None) -> None:
    change, ended, ms = prepared.change, prepared.cleaned.ended or None, seconds * 1000
    if change.is_empty and ended:
        _log.info(event(Stage.CLEAN, cause=cause, flows_ended=ended, ms=ms))
    elif change.is_empty:
        _log.debug(event(Stage.RECONCILE, cause=cause, changed="nothing", ms=ms))
    else:
        _log.info(
            event(
                Stage.APPLY,
                cause=cause,
                added=len(change.added),
                altered=len(change.altered),
                removed=len(change.removed),
                rebuilt=change.rebuild,
                schema_before=prepared.observation.newer,
                services=len(prepared.services) + len(prepared.kept),
                flows_ended=ended,
                ms=ms,
                since_event_ms=None if since_event is None else since_event * 1000,
            )
        )


def _of_drain(drain: Drain, **fields: Value) -> Event:
    return event(Stage.DRAIN, service=drain.service, replica=drain.name, cause=drain.cause, **fields)

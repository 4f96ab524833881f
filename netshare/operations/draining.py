"""Waiting until drained replicas have no connection left, or until their deadline, and having what is left then cut."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from netshare.core.draining import Cause, Drain, Key, Way, by_key, ways_to
from netshare.core.model import Replica, ReplicaState
from netshare.errors import EngineUnreachableError, NetshareError, WaitTimeoutError
from netshare.host import Host
from netshare.operations.control import AgentControl, Clock, converge
from netshare.operations.replica import judged_of
from netshare.reconcile import Prepared, prepare, reconcile
from netshare.store.protocol import Definitions

INTERVAL = 0.2
"""Seconds between looks at what is left."""
_LOOK_AROUND = 1.0
"""Seconds between looks at whether the replicas and their drains are still there."""
_INSTANT = 0.005


class Connections(Protocol):
    """The connections that the kernel tracks."""

    def by_way(self) -> Mapping[Way, int]:
        """Count those that are open now, or about to be, by the way they go."""


class End(StrEnum):
    """How a drain came to its end.

    Nothing was left, or it was cut, or it is the rollout's to end; the replica has ended, or somebody resumed it.
    """

    EMPTY = "empty"
    CUT = "cut"
    LEFT = "left"
    GONE = "gone"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class Left:
    """How one replica stands: its connections that are still open, and the seconds until its deadline."""

    replica: str
    connections: int
    to_go: float


@dataclass(frozen=True, slots=True)
class Remaining:
    """How a wait stands."""

    service: str
    replicas: tuple[Left, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended for one replica, ``seconds`` after it began.

    ``cut`` is how many of its connections were ended, ``left`` how many go on.
    """

    replica: str
    how: End
    cut: int
    seconds: float
    left: int = 0


Progress = Callable[[Remaining], None]


def wait(
    host: Host,
    agent: AgentControl,
    connections: Connections,
    drains: Sequence[Drain],
    *,
    clock: Clock,
    progress: Progress,
) -> tuple[Ended, ...]:
    """Wait for drains of one service, each until nothing is left or its deadline is over, and have that seen to.

    Raises:
        NotFoundError: the service was detached meanwhile.
        NetshareError: what was left at a deadline could not be ended.

    """
    if not drains:
        return ()
    service, looked = drains[0].service, -math.inf
    waiting, ended, view = by_key(drains), dict[Key, Ended](), _View()
    while True:
        late = [drain for drain in waiting.values() if drain.is_overdue(host.drains.now())]
        if late or clock.monotonic() - looked >= _LOOK_AROUND:
            _see_to(host, agent, late)
            with suppress(EngineUnreachableError):  # it may be restarted just now
                view = _look(host, agent, service)
            looked = clock.monotonic()
        active, now = connections.by_way(), host.drains.now()
        those: list[Left] = []
        for key, before in tuple(waiting.items()):
            waiting[key] = drain = view.drains.get(key, before)
            stands = view.left(drain, active, now)
            if (how := view.end(drain, stands.connections)) is not None:
                del waiting[key]
                ended[key] = Ended(drain.name, how, drain.cut or 0, now - drain.since, stands.connections)
            else:
                those.append(stands)
        if not waiting:
            return tuple(ended[drain.key] for drain in drains)
        progress(Remaining(service, tuple(those)))
        clock.sleep(max(_INSTANT, min(INTERVAL, *(each.to_go for each in those))))


def problems(ended: Ended) -> Iterator[NetshareError]:
    """Say what a script should know: that somebody was cut off, or that the drain did not last."""
    if ended.how is End.CUT:
        yield WaitTimeoutError(
            f"{counted(ended.cut)} of {ended.replica} cut at the deadline",
            hint="where clients need longer: --timeout 5m, or for every drain of the service, attach --drain 5m",
        )
    if ended.how is End.RESUMED:
        yield NetshareError(
            f"{ended.replica} was resumed while it drained", hint="drain it again if that was not meant"
        )


def counted(connections: int) -> str:
    """Say how many that are."""
    return "1 connection" if connections == 1 else f"{connections} connections"


def left(host: Host, connections: Connections, drain: Drain) -> Left:
    """Tell how one replica stands now."""
    definitions = host.store.load()
    view = _View.of(prepare(host, definitions), definitions, drain.service)
    return view.left(drain, connections.by_way(), host.drains.now())


@dataclass(frozen=True, slots=True)
class _View:
    """The replicas of a service, by id, and the drains there are; nothing is known before the first look."""

    replicas: Mapping[str, Replica] | None = None
    drains: Mapping[Key, Drain] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, prepared: Prepared, definitions: Definitions, service: str) -> "_View":
        """Take it from a reconcile."""
        _, replicas = judged_of(prepared, definitions, service)
        return cls({replica.id: replica for replica in replicas}, by_key(prepared.drains))

    def left(self, drain: Drain, active: Mapping[Way, int], now: float) -> Left:
        """Count what is open."""
        replica = (self.replicas or {}).get(drain.replica)
        count = sum(active.get(way, 0) for way in ways_to(replica)) if replica else 0
        return Left(drain.name, count, drain.to_go(now))

    def end(self, drain: Drain, connections: int) -> End | None:
        """Tell how a drain has ended, if it has."""
        if self.replicas is None:
            return None
        replica = self.replicas.get(drain.replica)
        if replica is None or replica.state is ReplicaState.GONE:
            return End.GONE
        if drain.key not in self.drains:
            return End.RESUMED
        if drain.cut:
            return End.CUT
        if connections and drain.cut is None:
            return None
        return End.LEFT if connections and drain.cause is Cause.ROLLOUT else End.EMPTY


def _look(host: Host, agent: AgentControl, service: str) -> _View:
    """Look at the replicas and the drains; with no agent to follow what changed, follow it here."""
    definitions = host.store.load()
    prepared = prepare(host, definitions) if agent.pid() is not None else reconcile(host)
    return _View.of(prepared, definitions, service)


def _see_to(host: Host, agent: AgentControl, late: Sequence[Drain]) -> None:
    """Have what is left at a deadline ended, now."""
    if not late:
        return
    problems = converge(host, agent)
    noted = by_key(host.drains.load())
    for drain in late:
        now = noted.get(drain.key)
        if now is not None and now.cut is None and now.is_overdue(host.drains.now()):
            why, hint = (problems[0].message, problems[0].hint) if problems else ("its agent has the reason", None)
            raise NetshareError(
                f"the deadline of {drain.name} is over, and what is left could not be ended: {why}",
                hint=hint or "see the agent's log (journalctl -u netshare); it tries again by itself",
            )

"""A rollout: every replica of a service replaced by a new one. Here is what is written down of it, and what comes next.

Pure. The record says how far each pair of an old replica and its new one has come; what to do next follows from the
record alone. So whoever drives a rollout may end at any moment: the next one goes on from what is written.

* No new connection is given to a new replica before its batch has been judged well, and then the whole batch takes over
  at once: the old ones are out by the same change of the record, so by the same transaction of the kernel.
* Old replicas are drained, then stopped, and removed only when every pair has come that far. Until then all of it can
  be taken back: the old ones are started again, and take over again before the new ones are drained and removed.
* From then on there is no way back, only forward.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import ceil


class Maker(StrEnum):
    """Who makes the new replicas: netshare, each from the configuration of the old one, or Compose, from its files."""

    CONTAINER = "container"
    COMPOSE = "compose"


class Stage(StrEnum):
    """How far a pair has come, and so which of the two is given new connections."""

    OLD = "old"
    """There is no new replica."""
    MAKING = "making"
    """The new one is named, and may exist."""
    MADE = "made"
    """The new one exists, and waits for its batch."""
    TRIED = "tried"
    """Both are given new connections: it is a canary."""
    SHIFTED = "shifted"
    """The new one has taken over; the old one drains."""
    STOPPED = "stopped"
    """The old one has been stopped."""
    REPLACED = "replaced"
    """The old one is gone."""
    RETURNED = "returned"
    """The old one has taken over again; the new one drains."""


class Direction(StrEnum):
    """Where it goes."""

    FORWARD = "forward"
    BACK = "back"
    FINISHING = "finishing"
    """Every new replica serves and every old one is stopped: there is no way back any more."""


_OLD_SERVES = frozenset({Stage.OLD, Stage.MAKING, Stage.MADE, Stage.TRIED, Stage.RETURNED})
_NEW_SERVES = frozenset({Stage.TRIED, Stage.SHIFTED, Stage.STOPPED, Stage.REPLACED})
_SURPLUS = frozenset({Stage.MAKING, Stage.MADE, Stage.TRIED, Stage.SHIFTED})
"""Where both of a pair may run."""
_QUARTER = 4


@dataclass(frozen=True, slots=True)
class Member:
    """A container that takes part, by its id and its name."""

    id: str
    name: str
    engine: str


@dataclass(frozen=True, slots=True)
class Pair:
    """An old replica and its new one.

    ``weight`` is what was given to the old one by hand: the new one has it too.
    """

    old: Member
    new: Member | None = None
    stage: Stage = Stage.OLD
    weight: int | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """How to go about it.

    ``batch`` replicas take over at once; ``surge`` is how many more than before may run. ``canary`` is the share of new
    connections, in per cent, that the first ones are given beside all old ones. ``pause`` is how many seconds to stay
    as it is after the canary and after each batch, infinite: until somebody says so. ``drain`` is how many seconds open
    connections may go on, infinite: as long as they like; ``None``: as was said of each replica. ``timeout`` is how
    many seconds a new replica may take to become well.
    """

    batch: int
    surge: int
    timeout: float
    drain: float | None = None
    canary: int | None = None
    pause: float | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """The record of one service's rollout.

    ``is_paused``: it stays as it is until the pause is over. ``is_tried``: the canary, if there was to be one, was let
    go on. ``failure`` is why it is taken back, where nobody wished so.
    """

    service: str
    maker: Maker
    options: Options
    pairs: tuple[Pair, ...]
    image: str | None = None
    direction: Direction = Direction.FORWARD
    is_paused: bool = False
    is_tried: bool = False
    failure: str | None = None
    timed_out: bool = False

    def at(self, *stages: Stage) -> tuple[Pair, ...]:
        """Give the pairs that have come so far, and no further."""
        return tuple(pair for pair in self.pairs if pair.stage in stages)

    def pair(self, old_id: str) -> Pair:
        """Give a pair by the id of its old replica."""
        return next(pair for pair in self.pairs if pair.old.id == old_id)

    def with_pair(self, done: Pair) -> "Rollout":
        """Note what has become of a pair."""
        return replace(self, pairs=tuple(done if pair.old.id == done.old.id else pair for pair in self.pairs))

    def moved_to(self, pairs: Iterable[Pair], stage: Stage) -> "Rollout":
        """Note how far some pairs have come."""
        ids = {pair.old.id for pair in pairs}
        moved = (replace(pair, stage=stage) if pair.old.id in ids else pair for pair in self.pairs)
        return replace(self, pairs=tuple(moved))

    @property
    def old_ids(self) -> Set[str]:
        """All that are to be replaced."""
        return frozenset(pair.old.id for pair in self.pairs)

    @property
    def is_canary_due(self) -> bool:
        """Whether the next to be given connections is a canary."""
        return self.options.canary is not None and not self.is_tried

    @property
    def batch(self) -> tuple[Pair, ...]:
        """The pairs that take over next."""
        waiting = self.at(Stage.OLD, Stage.MAKING, Stage.MADE, Stage.TRIED)
        if self.is_canary_due:
            return waiting[: canaries(len(self.pairs), self.options.canary)]
        return waiting[: max(self.options.batch, len(self.at(Stage.TRIED)))]


class Part(StrEnum):
    """What a rollout lets a replica have of the new connections."""

    SERVES = "serves"
    HELD = "held"
    RETIRED = "retired"


def parts(rollout: Rollout) -> Mapping[str, Part]:
    """Say which part everyone has who is in the record, by id; all others, see `part`."""
    found: dict[str, Part] = {}
    retired = Part.RETIRED if rollout.direction is not Direction.BACK else Part.HELD  # it is to come back
    for pair in rollout.pairs:
        found[pair.old.id] = Part.SERVES if pair.stage in _OLD_SERVES else retired
        if pair.new is not None:
            serves = pair.stage in _NEW_SERVES
            found[pair.new.id] = Part.SERVES if serves else Part.RETIRED if pair.stage is Stage.RETURNED else Part.HELD
    return found


def others(rollout: Rollout) -> Part:
    """Say which part a replica has that is not in the record: it may be a new one that has just been made."""
    return Part.SERVES if rollout.direction is Direction.FINISHING else Part.HELD


def canaries(replicas: int, percent: int | None) -> int:
    """Say how many of so many replicas are a canary with such a share."""
    return ceil(replicas * (percent or 0) / 100)


def default_batch(replicas: int) -> int:
    """Say how many take over at once where nothing was said: a quarter of them, as elsewhere."""
    return ceil(replicas / _QUARTER)


# What comes next


class Do(StrEnum):
    """Something to do with some pairs."""

    MAKE = "make"
    """Make and start the new ones."""
    TRY = "try"
    """Once the new ones are well, give them connections beside the old ones."""
    SHIFT = "shift"
    """Once the new ones are well, let them take over."""
    PAUSE = "pause"
    """Stay as it is."""
    RETIRE = "retire"
    """Wait until the old ones have drained, then stop them."""
    COMMIT = "commit"
    """Let go of the way back."""
    REPLACE = "replace"
    """Remove the old ones; the new ones take their names."""
    RETURN = "return"
    """Start the old ones that were stopped, and, once they are well, let them take over again."""
    DISCARD = "discard"
    """Wait until the new ones have drained, then remove them."""
    CLOSE = "close"
    """It is over: forget it."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next, with which pairs."""

    do: Do
    pairs: tuple[Pair, ...] = field(default=())


def next_step(rollout: Rollout) -> Step:
    """Say what comes next."""
    match rollout.direction:
        case Direction.FORWARD:
            return _forward(rollout)
        case Direction.BACK:
            return _back(rollout)
        case Direction.FINISHING:
            stopped = rollout.at(Stage.STOPPED)
            return Step(Do.REPLACE, stopped[:1]) if stopped else Step(Do.CLOSE)


def _forward(rollout: Rollout) -> Step:
    if wanted := _to_make(rollout):
        return Step(Do.MAKE, wanted)
    if shifted := rollout.at(Stage.SHIFTED):
        return Step(Do.RETIRE, shifted)
    batch = rollout.batch
    if not batch:
        return Step(Do.COMMIT)
    if rollout.is_paused:
        return Step(Do.PAUSE)
    return Step(Do.TRY if rollout.is_canary_due else Do.SHIFT, batch)


def _to_make(rollout: Rollout) -> tuple[Pair, ...]:
    """Pick the pairs whose new ones are made now: all of the next batch, and others as long as the surge allows it.

    Compose makes all at once: it would take stopped containers for some that it has to start.
    """
    begun = rollout.at(Stage.MAKING)
    waiting = rollout.at(Stage.OLD)
    if rollout.maker is Maker.COMPOSE:
        return (*begun, *waiting)
    if rollout.is_paused:
        return begun
    room = rollout.options.surge - len(rollout.at(*_SURPLUS))
    return (*begun, *waiting[: max(0, room)])


def _back(rollout: Rollout) -> Step:
    for stages, do in (
        ((Stage.TRIED, Stage.SHIFTED, Stage.STOPPED), Do.RETURN),
        ((Stage.MAKING, Stage.MADE), Do.DISCARD),
        ((Stage.RETURNED,), Do.DISCARD),
    ):
        if found := rollout.at(*stages):
            return Step(do, found)
    return Step(Do.CLOSE)


# What has been done


def placed(old_id: str, stage: Stage) -> Callable[[Rollout], Rollout]:
    """Note how far one pair has come."""
    return lambda there: there.with_pair(replace(there.pair(old_id), stage=stage))


def tried(rollout: Rollout, pairs: Iterable[Pair]) -> Rollout:
    """Note that new ones are given connections as a canary."""
    return replace(rollout.moved_to(pairs, Stage.TRIED), is_paused=True)


def shifted(rollout: Rollout, pairs: Iterable[Pair]) -> Rollout:
    """Note that new ones have taken over."""
    after = rollout.moved_to(pairs, Stage.SHIFTED)
    return replace(after, is_paused=rollout.options.pause is not None and bool(after.batch))


def promoted(rollout: Rollout) -> Rollout:
    """Note that it may go on."""
    is_tried = rollout.is_tried or bool(rollout.at(Stage.TRIED))
    return replace(rollout, is_paused=False, is_tried=is_tried)


def aborted(rollout: Rollout, failure: str | None = None, *, timed_out: bool = False) -> Rollout:
    """Note that it is to be taken back; what cannot be, is left as it is."""
    if rollout.direction is not Direction.FORWARD:
        return rollout
    return replace(rollout, direction=Direction.BACK, is_paused=False, failure=failure, timed_out=timed_out)


def committed(rollout: Rollout) -> Rollout:
    """Note that there is no way back."""
    return replace(rollout, direction=Direction.FINISHING, is_paused=False)

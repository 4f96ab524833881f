"""What the agent tells: one event is one line of its log and one document of `netshare events`, in the same words.

An event is handed to `logging` as the message itself (``_log.info(event(Stage.APPLY, cause=…))``): whoever writes
lines takes its text, whoever needs the fields has them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

Value = str | int | float | bool | None

_TEXTS = frozenset({"cause", "container", "held_by", "hint", "obstacle", "obstacle_gone", "problem", "reason"})
"""Fields in words, which are always quoted; others are where they hold more than a word."""
_WORD = re.compile(r"[\w.:/@,+\[\]-]+", re.ASCII)
_LONGEST = 600


class Stage(StrEnum):
    """What an event is about: a stage of a reconcile, all of it, or the agent itself."""

    LOCK = "lock"
    LOAD = "load"
    LIST = "list"
    OBSERVE = "observe"
    LABEL = "label"
    JUDGE = "judge"
    PLAN = "plan"
    DIFF = "diff"
    APPLY = "apply"
    LINK = "link"
    FORWARD = "forward"
    CLEAN = "clean"
    RECONCILE = "reconcile"
    """All of them."""
    START = "start"
    STOP = "stop"
    DRAIN = "drain"
    RESERVE = "reserve"
    """Ports that are held."""
    SERVE = "serve"
    """The agent's socket."""
    NOTIFY = "notify"
    """The agent's supervisor."""
    LOST = "lost"
    """Not from the agent's log: events that one who listens was too slow for."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, with its particulars in order."""

    stage: str
    fields: Mapping[str, Value]

    def __str__(self) -> str:
        """``apply cause='docker start 3f2a' added=1 rebuilt=no ms=0.8``."""
        return " ".join((str(self.stage), *(f"{name}={_shown(name, value)}" for name, value in self._known())))

    def document(self) -> dict[str, Value]:
        """Give the stage and the fields as plain values."""
        return {"stage": str(self.stage), **{name: _bounded(value) for name, value in self._known()}}

    def _known(self) -> Iterator[tuple[str, Value]]:
        return ((name, value) for name, value in self.fields.items() if value is not None)


def event(stage: Stage, **fields: Value) -> Event:
    """Make an event; a field that is ``None`` is left out."""
    return Event(stage, fields)


def _shown(name: str, value: Value) -> str:
    value = _bounded(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, str):
        word = str(value)  # an enum is one too
        return word if name not in _TEXTS and _WORD.fullmatch(word) else repr(word)
    return str(value)


def _bounded(value: Value) -> Value:
    """Cut what is too long for a line, as a burst of a thousand events is one cause, and what nobody can measure."""
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}…"
    return round(value, 3) if isinstance(value, float) else value

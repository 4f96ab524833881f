"""What Docker's events mean: one line of its stream in, a hint or nothing out. Pure.

On `docker stop` Docker says kill, network disconnect, stop (or die), die: the kill is the earliest sign that a replica
leaves, and the only one that comes before its last connection.
"""

import json
import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass

from netshare.engine.answers import Answer, mapping, plain
from netshare.engine.protocol import EngineEvent, EventKind

KILL = "kill"
START = "start"
DIE = "die"
DESTROY = "destroy"
HEALTH = "health_status"

ENDING = (signal.SIGTERM, signal.SIGKILL)
"""The signals taken for the end of any container, whatever its own stop signal is."""

_CONTAINER_CHANGES = frozenset({START, DIE, "stop", "pause", "unpause", DESTROY, "rename"})
_NETWORK_CHANGES = frozenset({"connect", "disconnect", "create", DESTROY})

FILTERS = {"type": ["container", "network"], "event": sorted({KILL, HEALTH} | _CONTAINER_CHANGES | _NETWORK_CHANGES)}
"""What the engine is asked to send: without it, every HEALTHCHECK run is three events (exec_create, _start, _die).

``health_status`` makes the engine compare all of them by prefix (moby daemon/events/filter.go, matchEvent), as its
actions read ``health_status: healthy``.
"""

_ENDS = frozenset({START, DIE, DESTROY})

KILL_FILTERS = {"type": ["container"], "event": sorted({KILL} | _ENDS)}
"""What tells who was sent a signal, and whether that was the end of it."""

_NUMBER = re.compile(r"[0-9]{1,2}")
_LATEST = 1 << 63
"""The engines' own times end in 2262 (time.Time.UnixNano); what is later is no time, and no calendar reads it."""
_LONGEST = 256
"""Characters of a field that are looked at: ids have 64, and an action is shown to people."""
_FIRST_REALTIME, _LAST_REALTIME = 34, 64


@dataclass(frozen=True, slots=True)
class RawEvent:
    """The fields of an event that matter; ``signal`` is 0 where there is none."""

    type: str
    action: str
    id: str
    container: str
    signal: int
    time_ns: int


def since(time_ns: int) -> str:
    """Write a point in time as Docker reads it."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{seconds}.{nanoseconds:09d}"


def read(line: bytes) -> RawEvent | None:
    """Read one line of the stream; nothing where it is not an event."""
    try:
        said = mapping(json.loads(line))
    except (ValueError, RecursionError):
        return None
    actor = mapping(said.get("Actor"))
    attributes = mapping(actor.get("Attributes"))
    kind, identity = plain(said.get("Type")), plain(actor.get("ID")) or plain(said.get("id"))
    return RawEvent(
        type=kind,
        action=(plain(said.get("Action")) or plain(said.get("status")))[:_LONGEST],
        id=identity[:_LONGEST],
        container=(plain(attributes.get("container")) if kind == "network" else identity)[:_LONGEST],
        signal=signal_number(attributes.get("signal")),
        time_ns=_time_ns(said),
    )


def hint(event: RawEvent, stop_signal: int) -> EngineEvent | None:
    """Tell what an event means to netshare; nothing where it means nothing.

    ``stop_signal`` is the signal that the container is stopped with; TERM and KILL end any container.
    """
    kind = None
    if event.type == "container":
        if event.action == KILL and event.signal in (stop_signal, *ENDING):
            kind = EventKind.LEAVING
        elif event.action in _CONTAINER_CHANGES or event.action.partition(":")[0] == HEALTH:
            kind = EventKind.CHANGED
    elif event.type == "network" and event.action in _NETWORK_CHANGES:
        kind = EventKind.CHANGED
    return None if kind is None else EngineEvent(kind, event.container, event.action, event.time_ns)


def unended_kills(events: Iterable[RawEvent]) -> list[RawEvent]:
    """Find the signals, in the order they were sent, after which a container neither died nor started again."""
    kills: dict[str, list[RawEvent]] = {}
    for event in events:
        if event.action == KILL:
            kills.setdefault(event.id, []).append(event)
        elif event.action in _ENDS:
            kills.pop(event.id, None)
    return [each for sent in kills.values() for each in sent]


def signal_number(value: object) -> int:
    """Read a signal as Docker writes it: ``15``, ``"15"``, ``SIGTERM``, ``term``, ``RTMIN+3``; 0 for anything else."""
    if type(value) is int:
        return value
    text = plain(value).upper().removeprefix("SIG")
    if _NUMBER.fullmatch(text):
        return int(text)
    base, sign, offset = text.partition("+") if "+" in text else text.partition("-")
    if base in ("RTMIN", "RTMAX"):
        start = _FIRST_REALTIME if base == "RTMIN" else _LAST_REALTIME
        steps = int(offset) if _NUMBER.fullmatch(offset) else 0
        return start - steps if sign == "-" else start + steps
    return int(signal.Signals[f"SIG{text}"]) if f"SIG{text}" in signal.Signals.__members__ else 0


def _time_ns(said: Answer) -> int:
    nanoseconds, seconds = said.get("timeNano"), said.get("time")
    if type(nanoseconds) is int and 0 < nanoseconds < _LATEST:
        return nanoseconds
    return seconds * 1_000_000_000 if type(seconds) is int and 0 < seconds < _LATEST // 1_000_000_000 else 0

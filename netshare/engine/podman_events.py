"""What Podman's events mean: that something changed, and nothing more. Pure.

They are Docker's in form (``/events`` of the compatible API), and differ in what they tell, seen with 4.3:

- `podman stop` says nothing at all before the container has died: then die, cleanup (twice), or die, remove. A restart
  says so first: restart, die, init, start. So no event is a sign to trust that a replica leaves; the listing is, which
  calls it "stopping" from the moment on that Podman decided to stop it (`podman_records` is how one hears of it).
- ``kill`` comes without the signal: it may as well have been a HUP, to reload.
- Where events are kept in a file rather than in the journal, they are up to a quarter of a second late.
- ``health_status`` tells of every run of a check, whatever came of it, the value in a field of its own.
- A network's events have the container's id as their own (5.x tells of networks made and removed as well).
- What Docker calls destroy is ``remove`` here, and die is ``died`` but in the compatible API's answers.
"""

from datetime import UTC, datetime

from netshare.engine.docker_events import RawEvent
from netshare.engine.protocol import EngineEvent, EventKind

HEALTH = "health_status"

_CONTAINER_CHANGES = frozenset(
    {
        *("create", "init", "start", "restart", "pause", "unpause", "rename"),
        *("kill", "stop", "die", "died", "cleanup", "remove", HEALTH),
    }
)
_NETWORK_CHANGES = frozenset({"connect", "disconnect", "create", "remove"})

FILTERS = {"type": ["container", "network"], "event": sorted(_CONTAINER_CHANGES | _NETWORK_CHANGES)}
"""What Podman is asked to send. Its filters are compared with its own words: 4.3 knows died, and not die."""


def since(time_ns: int) -> str:
    """Write a point in time as a date: a number of seconds Podman reads as a float, to the quarter of a microsecond."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def hint(event: RawEvent) -> EngineEvent | None:
    """Tell what an event means to netshare; nothing where it means nothing."""
    changes = {"container": _CONTAINER_CHANGES, "network": _NETWORK_CHANGES}.get(event.type, frozenset[str]())
    if event.action not in changes:
        return None
    return EngineEvent(EventKind.CHANGED, event.id, event.action, event.time_ns)

"""Services and their replicas as rows of a table: what `status` prints, once or live."""

from collections.abc import Iterator, Sequence

from netshare.core.model import Family
from netshare.operations.status import ReplicaStatus, ServiceStatus

COLUMNS = ("SERVICE", "LISTENERS", "REPLICA", "ENDPOINT", "STATE", "WEIGHT", "TOTAL", "ACTIVE", "REASON")
LIVE_COLUMNS = (*COLUMNS[:-3], "NEW/S", *COLUMNS[-3:])
NO_REPLICA = "no replica: new connections are refused"
_WHOLE = 10


def rows(item: ServiceStatus, columns: Sequence[str] = COLUMNS) -> Iterator[tuple[str, ...]]:
    """Give a row for each replica of a service, or one that says that there is none."""
    if not item.replicas:
        said = {"SERVICE": item.service.name, "LISTENERS": listeners(item), "REASON": NO_REPLICA}
        yield tuple(said.get(column, "-") for column in columns)
    for found in item.replicas:
        cells = _cells(item, found)
        yield tuple(cells[column] for column in columns)


def _cells(item: ServiceStatus, found: ReplicaStatus) -> dict[str, str]:
    return {
        "SERVICE": item.service.name,
        "LISTENERS": listeners(item),
        "REPLICA": found.replica.name,
        "ENDPOINT": ", ".join(map(str, found.endpoints)) or "-",
        "STATE": found.replica.state.value,
        "WEIGHT": str(found.replica.weight),
        "NEW/S": rate(found.rate),
        "TOTAL": str(found.connections_total),
        "ACTIVE": str(found.connections_active),
        "REASON": found.reason or "",
    }


def listeners(item: ServiceStatus) -> str:
    """Name the listeners, and the only family they are served in where they listen in both."""
    named = ", ".join(map(str, item.service.listeners))
    if len(item.families) == 1 and any(listener.address is None for listener in item.service.listeners):
        return f"{named} ({'IPv4' if item.families[0] is Family.IP else 'IPv6'} only)"
    return named


def rate(per_second: float | None) -> str:
    """Write connections a second: with a decimal where that says something, ``-`` where it takes another look."""
    if per_second is None:
        return "-"
    return f"{per_second:.0f}" if per_second >= _WHOLE or not per_second else f"{per_second:.1f}"

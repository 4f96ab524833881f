"""What `netshare top` shows and what its keys do: services and their replicas in an order, one of them chosen.

Nothing here draws, waits or does anything to a service: what is to be done is handed back.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from netshare.cli import keys
from netshare.core.model import ReplicaState
from netshare.operations.status import ReplicaStatus, ServiceStatus
from netshare.operations.watching import Look

HISTORY = 20
"""How many of the last looks a trend is of."""
_MOST_TRENDS = 5_000
"""With more replicas than that, services alone have trends: each takes its memory, and who could look at so many."""
_PAGE, _ALL = 10, 1 << 30
_MOVES: Mapping[str, int] = {
    keys.UP: -1,
    keys.DOWN: 1,
    keys.PAGE_UP: -_PAGE,
    keys.PAGE_DOWN: _PAGE,
    keys.HOME: -_ALL,
    keys.END: _ALL,
}


class Order(StrEnum):
    """What comes first: names in order, or the most of something."""

    NAME = "name"
    RATE = "new connections"
    ACTIVE = "open connections"
    WEIGHT = "weight"


class Verb(StrEnum):
    """What can be done to the replica that is chosen."""

    DRAIN = "drain"
    RESUME = "resume"


Key = tuple[str, str, str]
"""A row: a service's name, and of a replica its engine and its id; a service's own row has neither."""


@dataclass(frozen=True, slots=True)
class Row:
    """A service, or one of its replicas."""

    item: ServiceStatus
    replica: ReplicaStatus | None
    trend: Sequence[float]

    @property
    def key(self) -> Key:
        """What it is known by from one look to the next."""
        return _key(self.item, self.replica)

    @property
    def rate(self) -> float | None:
        """New connections a second, of a service those of its replicas."""
        return _rate(self.item) if self.replica is None else self.replica.rate

    @property
    def active(self) -> int:
        """Open connections."""
        return _active(self.item) if self.replica is None else self.replica.connections_active

    @property
    def ready(self) -> int:
        """How many of a service's replicas are ready."""
        return sum(each.replica.state is ReplicaState.READY for each in self.item.replicas)


@dataclass(frozen=True, slots=True)
class Wish:
    """Something to be done to a replica."""

    verb: Verb
    service: str
    replica: str
    word: str
    """What names the replica among those of its service: its id, or where it has none its name."""

    def __str__(self) -> str:
        """``drain web-1 of web``."""
        return f"{self.verb} {self.replica} of {self.service}"


class Board:
    """Remembers what was seen, and where the chooser stands."""

    def __init__(self) -> None:
        self.look: Look | None = None
        self.rows: Sequence[Row] = ()
        self.order = Order.NAME
        self.question: Wish | None = None
        self.is_over = False
        self._chosen: Key | None = None
        self._trends: dict[Key, deque[float]] = {}

    def see(self, look: Look) -> None:
        """Take in what was just seen."""
        self.look = look
        self._remember(look)
        self._arrange()

    @property
    def chosen(self) -> int:
        """Which row is chosen: where the one that was is gone, the first."""
        return next((number for number, row in enumerate(self.rows) if row.key == self._chosen), 0)

    def press(self, key: str) -> Wish | None:
        """Do what a key says; gives what is to be done, when it is certain."""
        if self.question is not None:
            asked, self.question = self.question, None
            return asked if key in ("y", "Y") else None
        if key in ("q", keys.ESCAPE):
            self.is_over = True
        elif key in _MOVES:
            self._move(_MOVES[key])
        elif key in _ORDERS:
            self.order = _ORDERS[key]
            self._arrange()
        elif key == "d":
            self.question = self._wish(Verb.DRAIN)
        elif key == "r":
            return self._wish(Verb.RESUME)
        return None

    def _move(self, rows: int) -> None:
        if self.rows:
            self._chosen = self.rows[max(0, min(self.chosen + rows, len(self.rows) - 1))].key

    def _wish(self, verb: Verb) -> Wish | None:
        row = self.rows[self.chosen] if self.rows else None
        if row is None or row.replica is None:
            return None
        found = row.replica.replica
        return Wish(verb, row.item.service.name, found.name, found.id or found.name)

    def _arrange(self) -> None:
        self.rows = tuple(self._arranged()) if self.look is not None else ()

    def _arranged(self) -> Iterator[Row]:
        services = self.look.status.services if self.look is not None else ()
        for item in sorted(services, key=_SERVICES[self.order]):
            yield Row(item, None, self._trends.get(_key(item, None), ()))
            for each in sorted(item.replicas, key=_REPLICAS[self.order]):
                yield Row(item, each, self._trends.get(_key(item, each), ()))

    def _remember(self, look: Look) -> None:
        """Add to the trends of those that are there; what is gone is forgotten."""
        services = look.status.services
        is_of_all = sum(len(item.replicas) for item in services) <= _MOST_TRENDS
        before, self._trends = self._trends, {}
        for item in services:
            self._trends[_key(item, None)] = _grown(before.get(_key(item, None)), _rate(item))
            for each in item.replicas if is_of_all else ():
                self._trends[_key(item, each)] = _grown(before.get(_key(item, each)), each.rate)


def _grown(trend: deque[float] | None, rate: float | None) -> deque[float]:
    trend = deque(maxlen=HISTORY) if trend is None else trend
    if rate is not None:
        trend.append(rate)
    return trend


def _key(item: ServiceStatus, found: ReplicaStatus | None) -> Key:
    name = item.service.name
    return (name, "", "") if found is None else (name, found.replica.engine, found.replica.id or found.replica.name)


def _rate(item: ServiceStatus) -> float | None:
    known = [each.rate for each in item.replicas if each.rate is not None]
    return sum(known) if known else None


def _active(item: ServiceStatus) -> int:
    return sum(each.connections_active for each in item.replicas)


_ORDERS: Mapping[str, Order] = {"n": Order.NAME, "c": Order.RATE, "a": Order.ACTIVE, "w": Order.WEIGHT}
_SERVICES: Mapping[Order, Callable[[ServiceStatus], tuple[float, str]]] = {
    Order.NAME: lambda item: (0, item.service.name),
    Order.RATE: lambda item: (-(_rate(item) or 0), item.service.name),
    Order.ACTIVE: lambda item: (-_active(item), item.service.name),
    Order.WEIGHT: lambda item: (-sum(each.replica.weight for each in item.replicas), item.service.name),
}
_REPLICAS: Mapping[Order, Callable[[ReplicaStatus], tuple[float, str]]] = {
    Order.NAME: lambda each: (0, each.replica.name),
    Order.RATE: lambda each: (-(each.rate or 0), each.replica.name),
    Order.ACTIVE: lambda each: (-each.connections_active, each.replica.name),
    Order.WEIGHT: lambda each: (-each.replica.weight, each.replica.name),
}

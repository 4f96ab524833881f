"""A driver whose kernel is a variable, as strict about transactions as the real one."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType

from netshare.core.diff import Change
from netshare.core.links import IPNetwork, Link
from netshare.core.model import Endpoint, Service, Strategy
from netshare.core.obstacle import Obstacle
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.errors import NetfilterError, NetshareError
from netshare.netfilter.driver import Observation, Offer


class FakeDriver:
    """Programs nothing but itself.

    ``committed`` holds every change that was not empty. ``failure`` is raised by the next apply, ``blindness`` by
    every observe.
    """

    name = "nftables"
    offers = MappingProxyType({name: Offer(frozenset(Strategy))})

    def __init__(self) -> None:
        self.committed: list[Change] = []
        self.failure: NetshareError | None = None
        self.blindness: NetshareError | None = None
        self._ruleset = Ruleset()
        self._intact = False
        self._newer: int | None = None
        self._connections: dict[Target, int] = {}

    def place(self, service: Service) -> str:
        return service.placed(self.name)

    def observe(self) -> Observation:
        if self.blindness is not None:
            raise self.blindness
        if self._newer is not None:
            return Observation(newer=self._newer)
        return Observation(self._ruleset, self._intact, dict(self._connections))

    def connections(self) -> Mapping[Target, int]:
        return self.observe().connections

    def apply(self, change: Change) -> None:
        if change.is_empty:
            return
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        if change.rebuild:
            self._ruleset, self._connections, self._newer = Ruleset(), {}, None
            self._add(change.after)
        else:
            self._alter(change)
        self._intact = True
        self.committed.append(change)

    def remove_all(self) -> None:
        self._ruleset, self._connections, self._intact, self._newer = Ruleset(), {}, False, None

    def render(self, ruleset: Ruleset) -> str:
        lines = [
            f"{match} -> {dispatch.service}: {', '.join(map(str, dispatch.slots)) or 'refuse'}"
            for match, dispatch in sorted(ruleset.dispatches.items(), key=lambda pair: str(pair[0]))
        ]
        return "".join(f"{line}\n" for line in lines)

    def tamper(self) -> None:
        """Do what another hand does: damage the fixed part."""
        self._intact = False

    def be_newer(self, schema: int) -> None:
        """Turn out to be a newer netshare's work, of which nothing is understood here; it serves all the same."""
        self._newer = schema

    def connect(self, match: Match, count: int = 1) -> list[Endpoint]:
        """Make connections; gives where each went, in turn, and counts them. No endpoint where they are refused."""
        dispatch = self._ruleset.dispatches[match]
        if not self._intact or not dispatch.slots:
            return []
        taken = [dispatch.slots[number % len(dispatch.slots)] for number in range(count)]
        for endpoint in taken:
            self._connections[Target(match.protocol, endpoint)] += 1
        return taken

    def _add(self, wanted: Ruleset) -> None:
        self._put(dict(wanted.dispatches), wanted.targets, wanted.hairpins)

    def _alter(self, change: Change) -> None:
        if not self._intact:
            raise NetfilterError("there is no table to change")
        dispatches = dict(self._ruleset.dispatches)
        for match, dispatch in change.removed.items():
            _take(dispatches, match, dispatch)
        for match, (old, new) in change.altered.items():
            _take(dispatches, match, old)
            dispatches[match] = new
        for match, dispatch in change.added.items():
            if match in dispatches:
                raise NetfilterError(f"{match} is there already")
            dispatches[match] = dispatch
        if unknown := change.targets_removed - self._ruleset.targets:
            raise NetfilterError(f"there is no {unknown}")
        if double := change.targets_added & self._ruleset.targets:
            raise NetfilterError(f"{double} is there already")
        if unknown_subnets := change.hairpins_removed - self._ruleset.hairpins:
            raise NetfilterError(f"there is no {unknown_subnets}")
        if double_subnets := change.hairpins_added & self._ruleset.hairpins:
            raise NetfilterError(f"{double_subnets} is there already")
        self._put(
            dispatches,
            (self._ruleset.targets - change.targets_removed) | change.targets_added,
            (self._ruleset.hairpins - change.hairpins_removed) | change.hairpins_added,
        )

    def _put(
        self,
        dispatches: Mapping[Match, Dispatch],
        targets: frozenset[Target],
        hairpins: frozenset[IPNetwork],
    ) -> None:
        for match, dispatch in dispatches.items():
            for endpoint in dispatch.slots:
                if Target(match.protocol, endpoint) not in targets:
                    raise NetfilterError(f"{match} names {endpoint}, which is not there")
        self._ruleset = Ruleset(dict(dispatches), targets, hairpins)
        self._connections = {target: self._connections.get(target, 0) for target in targets}


def _take(dispatches: dict[Match, Dispatch], match: Match, dispatch: Dispatch) -> None:
    if dispatches.pop(match, None) != dispatch:
        raise NetfilterError(f"there is no {match} as described")


class FakeForwarding:
    """Remembers whether a way past other firewalls was asked for."""

    def __init__(self) -> None:
        self.needed: bool | None = None
        self.failure: NetshareError | None = None
        self.in_the_way: tuple[Obstacle, ...] = ()
        self.out_of_place: tuple[str, ...] = ()

    def obstacles(self) -> Sequence[Obstacle]:
        return self.in_the_way

    def neighbours(self) -> Sequence[str]:
        return ()

    def missing(self) -> Sequence[str]:
        return self.out_of_place

    def ensure(self, *, needed: bool) -> Sequence[Obstacle]:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        self.needed = needed
        return self.in_the_way if needed else ()


class FakeLinks:
    """A host that is on the subnets in ``links``; remembers which of them were to be served."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.served: tuple[Link, ...] = ()

    def list(self) -> Sequence[Link]:
        return self.links

    def serve(self, used: Iterable[Link]) -> None:
        self.served = tuple(used)


class FakeLock:
    """A lock that fails where the real one would wait for ever: when its holder takes it again."""

    def __init__(self) -> None:
        self.is_held = False

    def __call__(self) -> AbstractContextManager[None]:
        return self._hold()

    @contextmanager
    def _hold(self) -> Iterator[None]:
        assert not self.is_held, "netshare's lock does not nest"
        self.is_held = True
        try:
            yield
        finally:
            self.is_held = False


class FakeClock:
    """Time that passes only by sleeping; ``on_sleep`` lets the world change meanwhile."""

    def __init__(self, on_sleep: Callable[[float], None] | None = None) -> None:
        self.now = 1000.0
        self._on_sleep = on_sleep

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0, "a wait that does not wait is a busy loop"
        self.now += seconds
        if self._on_sleep is not None:
            self._on_sleep(self.now)

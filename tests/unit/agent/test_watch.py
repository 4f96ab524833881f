"""An engine that is followed: when it is listed, when not, and what it tells."""

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Thread

import pytest

from netshare.agent.inbox import Hint
from netshare.agent.watch import WatchedEngine
from netshare.core.model import Container
from netshare.engine.protocol import EngineEvent, EventKind
from netshare.errors import EngineUnreachableError
from tests.fakes.engine import FakeEngine, container

PATIENCE = 20.0
NEVER = 3600.0


class EngineUnderTest(FakeEngine):
    """An engine to which something may happen while it is being listed."""

    def __init__(self, *containers: Container) -> None:
        super().__init__(*containers)
        self.while_listing: Callable[[], object] | None = None

    def containers(self) -> tuple[Container, ...]:
        listing = super().containers()
        if self.while_listing is not None:
            self.while_listing()
        return listing


class Watch:
    """A watched engine whose `follow` runs, and what it told."""

    def __init__(self, settle: float = NEVER) -> None:
        self.engine = EngineUnderTest(container("web-1", "172.17.0.2"), container("web-2", "172.17.0.3"))
        self.told: SimpleQueue[Hint] = SimpleQueue()
        self.watched = WatchedEngine(self.engine, self.told.put, retry=0.01, settle=settle)
        self._thread = Thread(target=self.watched.follow, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self.next() == Hint("docker subscribed")

    def next(self) -> Hint:
        return self.told.get(timeout=PATIENCE)

    def tell(self, kind: EventKind, name: str = "web-1", action: str = "", time_ns: int = 0) -> Hint:
        """Let an event arrive, and give what is told of it."""
        self.engine.emit(EngineEvent(kind, f"id-of-{name}", action, time_ns))
        return self.next()

    def leaving(self) -> set[str]:
        return {c.name for c in self.watched.containers() if c.leaving}

    def close(self) -> None:
        self.watched.close()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    watch.start()
    yield watch
    watch.close()


def test_it_lists_once_and_again_after_a_change(watch: Watch) -> None:
    assert watch.watched.name == "docker"
    assert watch.watched.containers() == watch.watched.containers() == tuple(watch.engine.running)
    assert watch.engine.listings == 1
    watch.engine.running.append(container("web-3", "172.17.0.4"))
    hint = watch.tell(EventKind.CHANGED, "web-3", "start", 42)
    assert hint == Hint("docker start id-of-web-3", 42)
    assert [c.name for c in watch.watched.containers()] == ["web-1", "web-2", "web-3"]
    assert watch.engine.listings == 2


def test_who_leaves_is_marked_without_a_listing(watch: Watch) -> None:
    watch.watched.containers()
    assert watch.tell(EventKind.LEAVING, "web-1", "kill", 7) == Hint("docker kill id-of-web-1", 7)
    assert watch.leaving() == {"web-1"}
    watch.tell(EventKind.LEAVING, "web-2", "kill")
    assert watch.leaving() == {"web-1", "web-2"}
    assert watch.engine.listings == 1


@pytest.mark.parametrize("kind", [EventKind.CHANGED, EventKind.LEAVING])
def test_a_listing_that_raced_with_an_event_is_not_kept(watch: Watch, kind: EventKind) -> None:
    def meanwhile() -> None:
        watch.engine.while_listing = None
        watch.tell(kind)

    watch.engine.while_listing = meanwhile
    watch.watched.containers()
    watch.watched.containers()
    watch.watched.containers()
    assert watch.engine.listings == 2


def test_when_all_is_quiet_it_looks_once_more() -> None:
    watch = Watch(settle=0.02)
    watch.start()
    for _ in range(20):
        watch.tell(EventKind.CHANGED)
    watch.watched.containers()
    assert watch.next() == Hint("docker settled")
    watch.watched.containers()
    assert watch.engine.listings == 2
    watch.close()


def test_an_engine_that_never_answered_is_not_one_without_containers(watch: Watch) -> None:
    watch.engine.die()
    for _ in range(2):
        with pytest.raises(EngineUnreachableError):
            watch.watched.containers()


def test_the_last_listing_of_an_engine_that_fell_silent_stands_in(watch: Watch) -> None:
    listing = watch.watched.containers()
    watch.tell(EventKind.CHANGED)
    watch.engine.die()
    assert [watch.watched.containers() for _ in range(3)] == [listing] * 3
    assert watch.engine.listings == 4  # it is asked again every time
    watch.engine.failure = None
    watch.engine.running.pop()
    assert watch.watched.containers() == listing[:1]


def test_those_it_saw_leaving_stay_gone_once_it_is_silent(watch: Watch) -> None:
    watch.watched.containers()
    watch.tell(EventKind.LEAVING, "web-1", "kill")
    watch.tell(EventKind.CHANGED, "web-1", "die")
    watch.engine.die()
    assert [watch.leaving() for _ in range(2)] == [{"web-1"}] * 2
    watch.tell(EventKind.LEAVING, "web-2", "kill")
    assert watch.leaving() == {"web-1", "web-2"}


def test_a_broken_stream_is_told_of_once_and_opened_again(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    watch.watched.containers()
    watch.engine.die()
    watch.engine.close()
    assert watch.next() == Hint("docker unreachable")
    watch.engine.running.pop()
    assert len(watch.watched.containers()) == 2
    watch.engine.failure = None
    assert watch.next() == Hint("docker subscribed")
    assert watch.watched.containers() == tuple(watch.engine.running)
    assert [message.split(" reason=")[0] for message in caplog.messages] == [
        "observe engine=docker state=unreachable",
        "observe engine=docker state=reachable",
    ]


def test_it_ends_while_the_engine_is_silent() -> None:
    watch = Watch()
    watch.engine.die()
    watch._thread.start()  # noqa: SLF001 (nothing is subscribed)
    assert watch.next() == Hint("docker unreachable")
    watch.close()


def test_an_engine_that_was_never_there_is_no_matter_for_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    watch = Watch()
    watch.engine.failure = EngineUnreachableError("nobody listens", absent=True)
    watch._thread.start()  # noqa: SLF001 (nothing is subscribed)
    assert watch.next() == Hint("docker absent")
    watch.engine.die()
    assert watch.next() == Hint("docker unreachable")
    watch.close()
    assert [(record.levelname, record.message.split(" reason=")[0]) for record in caplog.records] == [
        ("INFO", "observe engine=docker state=absent"),
        ("WARNING", "observe engine=docker state=unreachable"),
    ]

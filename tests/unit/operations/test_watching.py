"""Looking again and again, in simulated time: every look at something costs what the test says."""

from collections.abc import Mapping

import pytest

from netshare.core.model import Protocol
from netshare.core.ruleset import Target
from netshare.errors import NetfilterError, NotFoundError
from netshare.operations.status import ReplicaStatus, Status
from netshare.operations.watching import Watch
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host
from tests.unit.operations.attaching import HTTP, endpoint, run, static

ONE = endpoint("172.17.0.2", 80)


class SimulatedClock:
    """Stands still but for what is slept, and what things are said to cost."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Costly:
    """The kernel's connections, that take so long to count."""

    def __init__(self, fake: FakeHost, clock: SimulatedClock) -> None:
        self.seconds = 0.0
        self._fake, self._clock = fake, clock

    def active(self) -> Mapping[Target, int]:
        self._clock.sleep(self.seconds)
        return self._fake.connections.open


class Rumours:
    """News, by hand."""

    def __init__(self) -> None:
        self.is_there = False

    def came(self) -> bool:
        found, self.is_there = self.is_there, False
        return found


class Scene:
    def __init__(self, *, heard: bool = True, name: str | None = None) -> None:
        self.fake = fake_host(container("web-1", "172.17.0.2"), container("web-2", "172.17.0.3"))
        run(self.fake)
        self.clock, self.news = SimulatedClock(), Rumours()
        self.connections = Costly(self.fake, self.clock)
        news = self.news if heard else None
        self.watch = Watch(self.fake.host, self.fake.agent, self.connections, self.clock, name=name, news=news)

    def look(self) -> tuple[ReplicaStatus, ...]:
        return self.status().services[0].replicas

    def status(self) -> Status:
        return self.watch.look().status

    def rest(self) -> float:
        seconds = self.watch.rest(1.0)
        self.clock.sleep(seconds)
        return seconds


def test_the_first_look_knows_no_rates_and_the_second_does() -> None:
    scene = Scene()
    assert [each.rate for each in scene.look()] == [None, None]
    scene.clock.sleep(2)
    scene.fake.driver.connect(HTTP, 6)
    scene.fake.connections.open[Target(Protocol.TCP, ONE)] = 2
    one, two = scene.look()
    assert (one.rate, one.connections_total, one.connections_active) == (1.5, 3, 2)
    assert (two.rate, two.connections_total, two.connections_active) == (1.5, 3, 0)


def test_counters_that_begin_anew_tell_no_nonsense() -> None:
    scene = Scene()
    scene.fake.driver.connect(HTTP, 1000)
    scene.look()
    scene.fake.driver.remove_all()
    scene.fake.agent.sync()
    scene.fake.driver.connect(HTTP, 4)
    scene.clock.sleep(1)
    assert [each.rate for each in scene.look()] == [2.0, 2.0]


def test_without_news_only_counters_are_read() -> None:
    scene = Scene()
    scene.look()
    listings = scene.fake.engine.listings
    for _ in range(20):
        scene.rest()
        scene.look()
    assert scene.fake.engine.listings == listings
    scene.news.is_there = True
    scene.fake.engine.running.pop()
    assert len(scene.look()) == 1
    assert scene.fake.engine.listings > listings


def test_without_news_it_looks_at_all_now_and_then() -> None:
    scene = Scene()
    scene.look()
    listings = scene.fake.engine.listings
    scene.clock.sleep(31)
    scene.look()
    assert scene.fake.engine.listings > listings


def test_where_nobody_tells_of_news_every_look_is_a_whole_one() -> None:
    scene = Scene(heard=False)
    before = scene.fake.engine.listings
    for _ in range(3):
        scene.look()
        scene.rest()
    assert scene.fake.engine.listings == before + 3


def test_an_agent_that_comes_and_goes_is_told_of_at_once() -> None:
    scene = Scene()
    assert not scene.status().agent.is_running
    scene.fake.agent.running_pid = 7
    assert scene.status().agent.pid == 7


def test_a_costly_look_is_taken_less_often() -> None:
    scene = Scene(heard=False)
    scene.connections.seconds = 2.0
    scene.look()
    listings = scene.fake.engine.listings
    # Of each kind of look, a fifth of the time at most: the whole one took two seconds, as did counting alone.
    assert scene.rest() == 8.0
    scene.look()
    assert scene.fake.engine.listings == listings + 1
    scene.connections.seconds = 0.1
    scene.clock.sleep(100)
    scene.look()
    assert scene.rest() == pytest.approx(0.8)  # a second from its beginning, and it took two tenths


def test_while_a_whole_look_is_too_dear_counts_go_on() -> None:
    scene = Scene(heard=False)
    scene.connections.seconds = 1.0
    scene.look()
    listings = scene.fake.engine.listings
    scene.connections.seconds = 0.0
    scene.fake.driver.connect(HTTP, 2)
    assert [each.connections_total for each in scene.look()] == [1, 1]
    assert scene.fake.engine.listings == listings


def test_what_fails_is_raised_and_looked_at_anew() -> None:
    scene = Scene(name="web")
    scene.look()
    scene.fake.driver.blindness = NetfilterError("the kernel refused")
    with pytest.raises(NetfilterError):
        scene.look()
    scene.fake.driver.blindness = None
    scene.fake.store.delete("web")
    with pytest.raises(NotFoundError):
        scene.look()


def test_an_endpoint_of_two_services_is_summed_up_once() -> None:
    scene = Scene()
    run(scene.fake, name="vm", port=82, endpoints=static("172.17.0.2"), to=80)
    scene.look()
    scene.fake.driver.connect(HTTP, 10)
    scene.fake.connections.open[Target(Protocol.TCP, ONE)] = 2
    scene.clock.sleep(1)
    found = scene.watch.look()
    assert (found.rate, found.active) == (10.0, 2)
    assert sum(each.rate or 0 for item in found.status.services for each in item.replicas) == 15.0

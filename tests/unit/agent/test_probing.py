"""Probes that go on: who is asked, how often, and who is told."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from threading import Thread

import pytest

from netshare.agent.inbox import Hint
from netshare.agent.probing import Prober
from netshare.core.checks import health_check
from netshare.core.health import Probe, Standing, Verdict
from netshare.core.model import Endpoint, Listener, Replica, ReplicaState, Service
from netshare.core.plan import ServiceReplicas
from netshare.health.probing import NotAskedError
from tests.netns.waiting import until

WEB = Listener(80, to=8080)
FAST = "tcp interval=100ms timeout=100ms rise=2 fall=2"
FELLED = Verdict(Standing.UNHEALTHY, was_healthy=True, reason="HTTP 500")


class FakeBoard:
    """Keeps what is put up."""

    def __init__(self, before: Mapping[Probe, Verdict] | None = None) -> None:
        self.up: list[Mapping[Probe, Verdict]] = []
        self.failure: OSError | None = None
        self._before = before or {}

    def publish(self, verdicts: Mapping[Probe, Verdict]) -> None:
        if self.failure is not None:
            raise self.failure
        self.up.append(dict(verdicts))

    def read(self, *, renewed: bool) -> Mapping[Probe, Verdict]:
        assert not renewed
        return self._before


class World:
    """Answers probes: whoever is in ``ill`` fails, whoever is in ``hanging`` does not answer."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.ill: dict[str, str] = {}
        self.hanging: set[str] = set()
        self.trouble: str | None = None
        self.at_once = self.most_at_once = 0

    async def probe(self, probe: Probe) -> str | None:
        self.asked[probe.replica] += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            if self.trouble is not None:
                raise NotAskedError(self.trouble)
            if probe.replica in self.hanging:
                await asyncio.sleep(3600)
            await asyncio.sleep(0.001)
        finally:
            self.at_once -= 1
        return self.ill.get(probe.replica)


def replica(number: int, state: ReplicaState = ReplicaState.READY) -> Replica:
    endpoint = Endpoint(ip_address(f"10.0.0.{number}"), 8080)
    return Replica(f"web-{number}", f"id-{number}", "docker", state, {WEB: (endpoint,)})


def web(*replicas: Replica, check: str = FAST, name: str = "web") -> ServiceReplicas:
    return ServiceReplicas(Service(name, (WEB,), health=health_check(check)), replicas)


def probe_of(item: ServiceReplicas, index: int = 0) -> Probe:
    one = item.replicas[index]
    return Probe(item.service.name, one.id, one.endpoints[WEB][0], item.service.health)


class Running:
    """A prober at work."""

    def __init__(self, probe: Callable[[Probe], Awaitable[str | None]], board: FakeBoard, at_once: int) -> None:
        self.hints: list[Hint] = []
        self.prober = Prober(probe, self.hints.append, board, at_once=at_once)

    def standings(self) -> dict[str, Standing]:
        return {probe.replica: verdict.standing for probe, verdict in self.prober.verdicts().by_probe.items()}


@contextmanager
def running(world: World, board: FakeBoard | None = None, at_once: int = 512) -> Iterator[Running]:
    found = Running(world.probe, board or FakeBoard(), at_once)
    thread = Thread(target=found.prober.follow, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.prober.close()
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_a_new_endpoint_is_asked_at_once_and_told_of() -> None:
    with running(World()) as agent:
        assert agent.prober.verdicts().is_probed
        agent.prober.watch([web(replica(1), replica(2), check="tcp interval=1h")])
        until(lambda: agent.standings() == {"id-1": Standing.HEALTHY, "id-2": Standing.HEALTHY})
    assert {hint.cause for hint in agent.hints} == {"health of web"}
    assert all(hint.time_ns for hint in agent.hints)


def test_it_is_asked_again_and_again_and_told_of_only_when_it_falls_or_rises() -> None:
    world = World()
    with running(world) as agent:
        agent.prober.watch([web(replica(1))])
        until(lambda: world.asked["id-1"] > 4)
        assert len(agent.hints) == 1
        world.ill["id-1"] = "HTTP 500"
        until(lambda: agent.standings() == {"id-1": Standing.UNHEALTHY})
        asked = world.asked["id-1"]
        until(lambda: world.asked["id-1"] > asked + 2)
        assert len(agent.hints) == 2
        del world.ill["id-1"]
        until(lambda: agent.standings() == {"id-1": Standing.HEALTHY})
    assert len(agent.hints) == 3


def test_one_without_a_check_is_asked_until_it_takes_a_connection_and_never_again() -> None:
    world = World()
    world.ill["id-1"] = "connection refused"
    with running(world) as agent:
        agent.prober.watch([web(replica(1), check="engine"), web(replica(2), name="api")])
        until(lambda: world.asked["id-1"] > 3)
        assert agent.standings()["id-1"] is Standing.UNKNOWN
        del world.ill["id-1"]
        until(lambda: agent.standings()["id-1"] is Standing.HEALTHY)
        asked, other = world.asked["id-1"], world.asked["id-2"]
        until(lambda: world.asked["id-2"] > other + 3)
        assert world.asked["id-1"] == asked
        agent.prober.watch([web(replica(1, ReplicaState.GONE), check="engine")])
        agent.prober.watch([web(replica(1), check="engine")])
        until(lambda: world.asked["id-1"] == asked + 1)
        assert not agent.prober.is_busy
    assert [hint.cause for hint in agent.hints].count("health of web") == 2


def test_one_that_is_known_to_take_connections_is_not_asked_by_the_next_agent() -> None:
    world, item = World(), web(replica(1), check="engine")
    known = {probe_of(item): Verdict(Standing.HEALTHY, was_healthy=True)}
    with running(world, FakeBoard(known)) as agent:
        agent.prober.watch([item, web(replica(2), name="api")])
        until(lambda: world.asked["id-2"] > 2)
        assert agent.standings()["id-1"] is Standing.HEALTHY
    assert world.asked["id-1"] == 0


def test_one_that_can_not_be_asked_is_not_kept_back_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netshare.core.health.KNOCKING", 0.1)
    world = World()
    world.trouble = "Too many open files"
    with running(world) as agent:
        agent.prober.watch([web(replica(1), check="engine")])
        until(lambda: agent.standings() == {"id-1": Standing.HEALTHY})


def test_one_that_hangs_delays_no_other() -> None:
    world = World()
    world.hanging = {"id-1"}
    with running(world) as agent:
        agent.prober.watch([web(replica(1), replica(2))])
        until(lambda: world.asked["id-2"] > 10)
    assert world.asked["id-1"] == 1


def test_not_more_are_asked_at_once_than_may_be() -> None:
    world = World()
    with running(world, at_once=3) as agent:
        agent.prober.watch([web(*map(replica, range(1, 51)))])
        until(lambda: len(agent.standings()) == 50)
    assert world.most_at_once == 3


def test_who_leaves_is_asked_no_more_and_forgotten() -> None:
    world, board = World(), FakeBoard()
    with running(world, board) as agent:
        agent.prober.watch([web(replica(1), replica(2))])
        until(lambda: len(agent.standings()) == 2)
        agent.prober.watch([web(replica(1, ReplicaState.GONE), replica(2))])
        assert agent.standings().keys() == {"id-2"}
        until(lambda: [{probe.replica for probe in up} for up in board.up[-1:]] == [{"id-2"}])
        world.asked.clear()
        until(lambda: world.asked["id-2"] > 3)
        assert world.asked["id-1"] == 0
        agent.prober.watch([web(replica(1), replica(2))])
        until(lambda: world.asked["id-1"] > 0)


def test_a_service_that_is_unknown_just_now_is_asked_on() -> None:
    world = World()
    with running(world) as agent:
        agent.prober.watch([web(replica(1)), web(replica(2), name="other")])
        until(lambda: len(agent.standings()) == 2)
        agent.prober.watch([], frozenset({"web"}))
        assert agent.standings() == {"id-1": Standing.HEALTHY}
        asked = world.asked["id-1"]
        until(lambda: world.asked["id-1"] > asked + 1)


def test_another_check_starts_anew() -> None:
    with running(World()) as agent:
        agent.prober.watch([web(replica(1))])
        until(lambda: agent.standings() == {"id-1": Standing.HEALTHY})
        agent.prober.watch([web(replica(1), check="tcp interval=1h")])
        assert probe_of(web(replica(1))) not in agent.prober.verdicts().by_probe
        until(lambda: agent.standings() == {"id-1": Standing.HEALTHY})


def test_what_an_earlier_agent_found_out_is_taken_over() -> None:
    item = web(replica(1), replica(2), check="tcp interval=1h")
    before = {probe_of(item): FELLED, probe_of(web(replica(9))): FELLED}
    world, board = World(), FakeBoard(before)
    with running(world, board) as agent:
        assert agent.prober.verdicts().by_probe == before
        agent.prober.watch([item])
        until(lambda: world.asked["id-2"] > 0)
        until(lambda: board.up[-1:] != [] and board.up[-1].get(probe_of(item, 1), FELLED) != FELLED)
        assert agent.standings() == {"id-1": Standing.UNHEALTHY, "id-2": Standing.HEALTHY}
    assert world.asked["id-1"] == 0
    assert len(agent.hints) == 1


def test_news_is_put_up_before_it_is_told() -> None:
    board = FakeBoard()
    seen: list[Verdict] = []
    item = web(replica(1), check="tcp interval=1h")
    prober: Prober

    async def well(_: Probe) -> None:
        await asyncio.sleep(0.2)  # after what was put up at the start

    prober = Prober(well, lambda _: seen.append(board.up[-1][probe_of(item)]), board)
    thread = Thread(target=prober.follow, daemon=True)
    thread.start()
    prober.watch([item])
    until(lambda: bool(seen))
    prober.close()
    thread.join(timeout=10)
    assert seen[0].standing is Standing.HEALTHY


def test_what_can_not_be_put_up_is_said_once_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    board = FakeBoard()
    board.failure = OSError("no room")
    world = World()
    with running(world, board) as agent:
        agent.prober.watch([web(replica(1), replica(2))])
        until(lambda: len(agent.standings()) == 2)
        world.ill = {"id-1": "HTTP 500", "id-2": "HTTP 500"}
        until(lambda: set(agent.standings().values()) == {Standing.UNHEALTHY})
    assert [m for m in caplog.messages if "no room" in m] == [
        'judge problem="the health of replicas can\'t be put up for others to see: no room"'
    ]


def test_trouble_of_ones_own_is_no_verdict(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    with running(world) as agent:
        agent.prober.watch([web(replica(1))])
        until(lambda: agent.standings() == {"id-1": Standing.HEALTHY})
        world.trouble = "too many open files"
        asked = world.asked["id-1"]
        until(lambda: world.asked["id-1"] > asked + 5)
        assert agent.standings() == {"id-1": Standing.HEALTHY}
    assert [m for m in caplog.messages if "too many" in m] == [
        "judge problem='nothing can be probed: too many open files'"
    ]


def test_a_fall_is_a_warning_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "netshare")
    world = World()
    world.ill = {"id-1": "HTTP 500"}
    with running(world) as agent:
        agent.prober.watch([web(replica(1))])
        until(lambda: agent.standings() == {"id-1": Standing.UNHEALTHY})
    assert caplog.messages == ["judge service=web endpoint=10.0.0.1:8080 standing=unhealthy reason='HTTP 500'"]


def test_a_bug_is_not_hidden() -> None:
    async def broken(_: Probe) -> None:
        raise ZeroDivisionError

    prober = Prober(broken, lambda _: None, FakeBoard())
    prober.watch([web(replica(1))])
    with pytest.raises(ExceptionGroup) as crash:
        prober.follow()
    assert crash.group_contains(ZeroDivisionError)


def test_it_can_be_closed_before_it_runs() -> None:
    prober = Prober(World().probe, lambda _: None, FakeBoard())
    prober.watch([web(replica(1))])
    prober.close()
    prober.follow()


def test_who_is_suspected_is_asked_at_once_and_again_soon() -> None:
    world = World()
    with running(world) as agent:
        item = web(replica(1), replica(2), check="tcp interval=1h fall=2")
        agent.prober.watch([item])
        until(lambda: len(agent.standings()) == 2)
        world.ill["id-1"] = "no answer"
        agent.prober.suspect({Endpoint(ip_address("10.0.0.1"), 53)})  # by its address, whatever the port
        until(lambda: agent.standings()["id-1"] is Standing.UNHEALTHY)
        agent.prober.suspect({Endpoint(ip_address("10.0.0.1"), 53)})
        agent.prober.suspect(set())
    assert world.asked == {"id-1": 3, "id-2": 1}
    assert not agent.prober.verdicts().by_probe[probe_of(item)].failed


def test_a_suspicion_that_proves_wrong_changes_nothing() -> None:
    world = World()
    item = web(replica(1), check="tcp interval=1h fall=100")
    suspected = {Endpoint(ip_address("10.0.0.1"), 8080)}

    def verdict() -> Verdict:
        return agent.prober.verdicts().by_probe[probe_of(item)]

    def asked_again(than: int) -> bool:
        agent.prober.suspect(suspected)  # again and again: one that is being asked is not asked twice
        return world.asked["id-1"] > than

    with running(world) as agent:
        agent.prober.watch([item])
        until(lambda: len(agent.standings()) == 1)
        until(lambda: asked_again(1))
        world.ill["id-1"] = "no answer"
        asked = world.asked["id-1"]
        until(lambda: asked_again(asked + 1))
        del world.ill["id-1"]
        until(lambda: verdict().reason is None)
        assert verdict().standing is Standing.HEALTHY
    assert len(agent.hints) == 1

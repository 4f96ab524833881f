"""A rollout from its beginning to its end, on a host of fakes."""

import math
from dataclasses import replace
from ipaddress import ip_address
from threading import Barrier

import pytest

from netshare.core import rollout as record
from netshare.core.flows import Flow, Phase
from netshare.core.model import (
    CheckKind,
    ContainerStatus,
    Endpoint,
    Health,
    HealthCheck,
    Listener,
    Protocol,
    ReplicaState,
    Service,
    StaticEndpoint,
)
from netshare.core.rollout import Direction, Stage
from netshare.errors import (
    EngineUnreachableError,
    NetfilterError,
    NetshareError,
    NotFoundError,
    UsageError,
    WaitTimeoutError,
)
from netshare.operations import rollout
from netshare.operations.rolling import drive
from netshare.operations.rollout import Outcome, Request
from netshare.operations.status import status
from tests.fakes.engine import FakeEngine
from tests.fakes.rollout import RolloutWorld

NAMES = ("web-1", "web-2", "web-3")


@pytest.fixture(params=[True, False], ids=["agent", "no agent"])
def world(request: pytest.FixtureRequest) -> RolloutWorld:
    return RolloutWorld(agent=request.param)


def history(world: RolloutWorld) -> list[set[str]]:
    """Tell whom the kernel has given connections, one change after the other, by their addresses."""
    found: list[set[str]] = []
    for change in world.fake.driver.committed:
        served = {str(slot.address) for dispatch in change.after.dispatches.values() for slot in dispatch.slots}
        if not found or served != found[-1]:
            found.append(served)
    return found


def opened(world: RolloutWorld) -> None:
    """Open a connection with every replica."""
    host = Endpoint(ip_address("192.0.2.1"), 80)
    for target in world.fake.driver.observe().connections:
        established = Flow(target.protocol, host, target.endpoint, is_ours=True, phase=Phase.ESTABLISHED)
        world.fake.flows.tracked.append(established)


def refused(world: RolloutWorld, kind: type[NetshareError], **words: object) -> NetshareError:
    before = (world.containers(), dict(world.fake.rollouts.known), len(world.fake.driver.committed))
    with pytest.raises(NetshareError) as refusal:
        world.roll(**words)
    assert (world.containers(), dict(world.fake.rollouts.known), len(world.fake.driver.committed)) == before
    assert type(refusal.value) is kind
    assert refusal.value.hint
    return refusal.value


class TestForward:
    def test_every_replica_is_replaced_and_keeps_its_name(self, world: RolloutWorld) -> None:
        rolled = world.roll(image="my/web:2")
        assert rolled.outcome is Outcome.COMPLETED
        assert world.containers().keys() == set(NAMES)
        assert world.images() == {"my/web:2"}
        assert world.served() == dict.fromkeys(NAMES, 1)
        assert [(pair.old.name, pair.new.name) for pair in rolled.pairs if pair.new] == [(n, n) for n in NAMES]
        assert world.fake.rollouts.known == {}
        assert world.fake.drains.noted == ()

    def test_each_batch_takes_over_in_one_commit(self, world: RolloutWorld) -> None:
        world.roll(batch=2)
        sizes = [len(each) for each in history(world)]
        assert sizes == [3, 3, 3]
        moved = [len(before - after) for before, after in zip(history(world), history(world)[1:], strict=False)]
        assert moved == [2, 1]

    def test_no_more_run_than_the_surge_allows(self, world: RolloutWorld) -> None:
        most = 0

        def count() -> None:
            nonlocal most
            running = [c for c in world.containers().values() if c.status is ContainerStatus.RUNNING]
            most = max(most, len(running))

        world.on_sleep = count
        world.roll(batch=1, surge=2)
        assert most == 5

    def test_new_ones_are_given_nothing_before_they_have_run_for_a_while(self, world: RolloutWorld) -> None:
        began = world.clock.now
        seen: dict[float, set[str]] = {}

        def look() -> None:
            seen[world.clock.now - began] = set(world.served())

        world.on_sleep = look
        world.roll(batch=3)
        assert all(names == set(NAMES) for at, names in seen.items() if at < 3)
        assert len(seen) > 10

    def test_a_new_one_is_said_to_wait_for_its_batch(self, world: RolloutWorld) -> None:
        states: dict[str, tuple[ReplicaState, str | None]] = {}

        def look() -> None:
            [item] = status(world.fake.host, world.fake.agent, world.fake.connections).services
            for each in item.replicas:
                states.setdefault(each.replica.name, (each.replica.state, each.replica.reason))

        world.on_sleep = look
        world.roll()
        assert states["web-4"] == (ReplicaState.STARTING, "rollout: waiting for its batch")

    def test_old_ones_are_stopped_only_when_they_have_drained(self, world: RolloutWorld) -> None:
        target = next(iter(t for t in world.fake.driver.observe().connections if str(t.endpoint.address) == "10.0.0.1"))
        world.fake.connections.ways = {(target.protocol, 80, target.endpoint): 2}
        stopped: list[float] = []
        began = world.clock.now

        def close() -> None:
            if world.clock.now - began > 20:
                world.fake.connections.ways = {}

        world.on_sleep = close
        world.before = lambda what: stopped.append(world.clock.now - began) if what == "stop" else None
        world.roll(batch=1, drain=60.0)
        assert stopped[0] > 20
        assert "web-1 stopped" in world.told

    def test_what_is_left_at_the_deadline_is_for_the_replica_to_end(self, world: RolloutWorld) -> None:
        """A stop signal lets a server answer what it was asked; cutting the connection before would not."""
        counted = world.fake.driver.observe().connections
        world.fake.connections.ways = {(target.protocol, 80, target.endpoint): 1 for target in counted}
        opened(world)
        stopped: list[tuple[float, int]] = []
        began = world.clock.now
        world.before = lambda what: (
            stopped.append((world.clock.now - began, len(world.fake.flows.tracked))) if what == "stop" else None
        )
        assert world.roll(batch=3, drain=5.0).outcome is Outcome.COMPLETED
        assert len(stopped) >= 3
        assert all(8 <= at < 12 and flows == 3 for at, flows in stopped[:3])
        assert world.fake.flows.tracked == []
        assert "web-1 has 1 connection left after 5 s, which its stop is to end" in world.told

    def test_a_batch_is_stopped_all_at_once(self, world: RolloutWorld) -> None:
        together = Barrier(3, timeout=5.0)
        stops: list[str] = []

        def meet(what: str) -> None:
            if what == "stop" and len(stops) < 3:
                stops.append(what)
                together.wait()

        world.before = meet
        assert world.roll(batch=3).outcome is Outcome.COMPLETED
        assert len(stops) == 3

    def test_weights_by_hand_stay_with_the_names(self, world: RolloutWorld) -> None:
        service = world.fake.store.services["web"]
        world.fake.store.services["web"] = replace(service, weights=(("web-1", 3), ("web-2", 0)))
        seen: list[dict[str, int]] = []
        world.before = lambda what: seen.append(world.served()) if what == "stop" else None
        world.roll(batch=3)
        assert seen[0] == {"web-4": 3, "web-6": 1}
        assert world.served() == {"web-1": 3, "web-3": 1}

    def test_with_a_health_check_of_the_images_nobody_waits_for_seconds(self, world: RolloutWorld) -> None:
        def turn_healthy(_: str = "") -> None:
            running = world.fake.engine.running
            world.fake.engine.running = [replace(c, health=Health.HEALTHY) for c in running]

        turn_healthy()
        world.before = turn_healthy
        began = world.clock.now
        world.roll(batch=3)
        assert world.clock.now - began < 1

    def test_one_of_datagrams_only_has_to_run_for_longer(self) -> None:
        world = RolloutWorld(1)
        world.fake.store.services["web"] = Service("web", (Listener(53, Protocol.UDP, to=53),))
        began = world.clock.now
        world.roll()
        assert world.clock.now - began >= 10

    def test_without_an_agent_netshares_own_check_is_asked_here(self) -> None:
        world = RolloutWorld(1, agent=False)
        service = world.fake.store.services["web"]
        check = HealthCheck(CheckKind.HTTP, path="/up")
        world.fake.store.services["web"] = replace(service, health=check)
        world.unwell = {"01-of-web-2"}
        world.on_sleep = lambda: world.unwell.clear() if world.clock.now > 1005 else None
        world.roll()
        assert world.waited[0].endswith("connection refused")
        assert world.clock.now > 1005

    def test_one_that_removes_itself_runs_until_the_end(self) -> None:
        world = RolloutWorld(2)
        world.engine.self_removing = {"id-of-web-1", "id-of-web-2"}
        removed: list[str] = []
        world.before = lambda what: removed.append(world.record.direction) if what in ("stop", "remove") else None
        assert world.roll().outcome is Outcome.COMPLETED
        assert set(removed) == {Direction.FINISHING}
        assert world.containers().keys() == {"web-1", "web-2"}

    def test_one_that_has_no_number_is_given_one_beside_it(self) -> None:
        world = RolloutWorld(1)
        world.fake.engine.running = [replace(world.fake.engine.running[0], name="web")]
        seen: set[str] = set()
        world.on_sleep = lambda: seen.update(world.containers())
        world.roll()
        assert seen == {"web", "web-2"}
        assert world.containers().keys() == {"web"}

    def test_a_name_that_somebody_takes_meanwhile_is_theirs(self) -> None:
        world = RolloutWorld(1)

        def take() -> None:
            stranger = replace(next(iter(world.containers().values())), id="stranger", name="web-1", labels={})
            if "web-1" not in world.containers():
                world.fake.engine.running.append(stranger)

        world.before = lambda what: take() if what == "removed" else None
        rolled = world.roll()
        assert rolled.pairs[0].new is not None
        assert rolled.pairs[0].new.name == "web-2"
        assert any("web-2 keeps that name" in each for each in world.told)


class TestRefusals:
    def test_there_is_no_such_service_or_image(self) -> None:
        world = RolloutWorld()
        with pytest.raises(NotFoundError):
            rollout.begun(world.tools, Request("wep"))
        assert "no/such" in refused(world, NotFoundError, image="no/such:image").message

    def test_static_replicas_can_not_be_replaced(self) -> None:
        world = RolloutWorld()
        address = next(iter(world.fake.driver.observe().connections)).endpoint.address
        world.fake.store.services["web"] = Service("web", (Listener(80),), endpoints=(StaticEndpoint(address),))
        assert "can't start new ones" in refused(world, UsageError).message

    def test_nothing_runs(self) -> None:
        world = RolloutWorld()
        world.fake.engine.running = [replace(c, status=ContainerStatus.EXITED) for c in world.fake.engine.running]
        assert refused(world, NetshareError).message.startswith("no replica of web runs")

    def test_what_systemd_would_bring_back(self) -> None:
        world = RolloutWorld()
        first, *others = world.fake.engine.running
        unit = {"PODMAN_SYSTEMD_UNIT": "web@2.service"}
        world.fake.engine.running = [*others, replace(first, labels={**first.labels, **unit})]
        refusal = refused(world, NetshareError)
        assert (
            refusal.message == f"{first.name} is run by systemd, as 'web@2.service', which would bring the old one back"
        )
        assert refusal.hint == f"one by one: netshare drain web {first.name} --wait, and restart its unit"
        assert world.fake.rollouts.load().known == {}

    def test_one_that_can_not_have_a_second_one_beside_it(self) -> None:
        world = RolloutWorld()
        world.engine.unique = {"id-of-web-2"}
        assert refused(world, NetshareError).message == "replica web-2 can't have a second one beside it"

    @pytest.mark.parametrize("words", [{"batch": 3, "surge": 2}, {"canary": 60, "surge": 1}])
    def test_more_at_once_than_the_surge_allows(self, words: dict[str, object]) -> None:
        assert "--surge allows" in refused(RolloutWorld(), UsageError, **words).message

    def test_two_at_once(self) -> None:
        world = RolloutWorld()
        rollout.begun(world.tools, Request("web"))
        refusal = refused(world, NetshareError)
        assert refusal.message == "a rollout of web is unfinished: 0 of 3 replicas are new"
        assert refusal.hint is not None
        assert "netshare rollout web --resume" in refusal.hint
        assert "netshare rollout web --abort" in refusal.hint

    def test_an_engine_that_does_not_answer(self) -> None:
        world = RolloutWorld()
        world.fake.engine.die()
        refused(world, EngineUnreachableError)


class TestFailure:
    def test_an_image_that_ends_at_once_is_taken_back(self, world: RolloutWorld) -> None:
        before = history(world)
        with pytest.raises(NetshareError) as failure:
            world.roll(image="broken", batch=2)
        assert failure.value.message == (
            "the rollout of web was taken back: web-4 has ended (exit code 1): web-4: no such file"
        )
        assert failure.value.exit_code == 1
        assert world.containers().keys() == set(NAMES)
        assert world.images() == {"my/web:1"}
        assert history(world) == before  # nothing was ever changed
        assert world.fake.rollouts.known == {}

    def test_one_that_is_never_well_is_taken_back_in_time(self, world: RolloutWorld) -> None:
        before, began = history(world), world.clock.now
        world.before = lambda what: world.unwell.update(c.id for c in world.containers().values()) if what else None
        with pytest.raises(WaitTimeoutError) as failure:
            world.roll(timeout=30.0)
        assert "not well within 30 s: web-4: 10.9.0." in failure.value.message
        assert world.clock.now - began == pytest.approx(30, abs=1)
        assert history(world) == before
        assert world.containers().keys() == set(NAMES)

    def test_a_second_batch_that_fails_takes_the_first_one_back_as_well(self, world: RolloutWorld) -> None:
        made = 0

        def spoil(what: str) -> None:
            nonlocal made
            made += what == "made"
            if what == "made" and made == 2:
                world.engine.image_of["03-of-web-5"] = world.engine.image_of["02-of-web-5"] = "broken"

        world.before = spoil
        with pytest.raises(NetshareError, match="was taken back: web-5 has ended"):
            world.roll(batch=1)
        assert {c.id for c in world.containers().values()} == {f"id-of-{name}" for name in NAMES}
        assert set(world.served()) == set(NAMES)
        assert all(history(world))
        assert world.fake.drains.noted == ()

    def test_the_engine_refuses_to_make_one(self, world: RolloutWorld) -> None:
        def refuse(what: str) -> None:
            if what == "make":
                raise NetshareError("no space left", hint="make some")

        world.before = refuse
        with pytest.raises(NetshareError, match=r"was taken back: no space left \(make some\)"):
            world.roll()
        assert world.containers().keys() == set(NAMES)

    def test_an_engine_that_falls_silent_is_waited_for_by_who_resumes(self, world: RolloutWorld) -> None:
        def die(what: str) -> None:
            if what == "start":
                raise EngineUnreachableError("docker does not answer", hint="start it")

        world.before = die
        with pytest.raises(EngineUnreachableError):
            world.roll()
        assert world.record.at(Stage.MAKING)
        world.before = lambda _: None
        assert world.resume().outcome is Outcome.COMPLETED

    def test_a_kernel_that_refuses_leaves_all_as_it_is(self, world: RolloutWorld) -> None:
        rollout.begun(world.tools, Request("web", batch=3))

        def refuse(what: str) -> None:
            if what == "saved" and world.record.at(Stage.SHIFTED):
                world.fake.driver.failure = NetfilterError("no memory")

        world.before = refuse
        with pytest.raises(NetfilterError):
            drive(world.tools, "web")
        world.before = lambda _: None
        assert world.resume().outcome is Outcome.COMPLETED

    def test_a_service_that_is_detached_can_be_taken_back_all_the_same(self, world: RolloutWorld) -> None:
        def detach(what: str) -> None:
            if what == "saved" and world.record.at(Stage.SHIFTED):
                world.fake.store.services.clear()

        world.before = detach
        with pytest.raises(NotFoundError):
            world.roll(batch=3)
        world.before = lambda _: None
        rollout.aborted(world.tools, "web")
        assert world.resume().outcome is Outcome.TAKEN_BACK
        assert {c.id for c in world.containers().values()} == {f"id-of-{name}" for name in NAMES}


class TestCanary:
    def test_it_has_its_share_until_somebody_lets_it_go_on(self, world: RolloutWorld) -> None:
        shares: list[dict[str, int]] = []

        def promote() -> None:
            shares.append(world.served())
            if len(shares) > 40:
                world.fake.rollouts.known["web"] = record.promoted(world.record)
                world.on_sleep = lambda: None

        world.on_sleep = promote
        assert world.roll(canary=10, batch=3).outcome is Outcome.COMPLETED
        assert shares[-1] == {"web-1": 3, "web-2": 3, "web-3": 3, "web-4": 1}
        assert any("0 of 3 replicas are new, 1 on trial" in each for each in world.waited)
        assert world.served() == dict.fromkeys(NAMES, 1)

    def test_it_goes_on_by_itself_after_a_pause(self, world: RolloutWorld) -> None:
        began = world.clock.now
        world.roll(canary=10, pause=60.0, batch=3)
        assert 63 <= world.clock.now - began < 75

    def test_it_is_taken_back_when_somebody_says_so(self, world: RolloutWorld) -> None:
        def abort() -> None:
            if world.record.at(Stage.TRIED):
                world.on_sleep = lambda: None
                rollout.aborted(world.tools, "web")

        world.on_sleep = abort
        assert world.roll(canary=10).outcome is Outcome.TAKEN_BACK
        assert {c.id for c in world.containers().values()} == {f"id-of-{name}" for name in NAMES}
        assert world.served() == dict.fromkeys(NAMES, 1)

    def test_one_that_ends_while_it_is_tried_is_taken_back(self, world: RolloutWorld) -> None:
        def kill() -> None:
            if world.record.at(Stage.TRIED):
                world.fake.engine.running = [
                    replace(c, status=ContainerStatus.EXITED, attachments=()) if c.name == "web-4" else c
                    for c in world.fake.engine.running
                ]

        world.on_sleep = kill
        with pytest.raises(NetshareError, match="was taken back: web-4 has ended"):
            world.roll(canary=10)
        assert world.served() == dict.fromkeys(NAMES, 1)


class TestPause:
    def test_it_pauses_between_batches_and_not_after_the_last(self, world: RolloutWorld) -> None:
        began = world.clock.now
        world.roll(batch=1, pause=30.0)
        assert 60 + 9 <= world.clock.now - began < 60 + 15

    def test_old_ones_are_stopped_before_the_pause(self, world: RolloutWorld) -> None:
        stages: set[tuple[Stage, ...]] = set()

        def look() -> None:
            if world.record.is_paused and world.clock.now > 1020:
                stages.add(tuple(pair.stage for pair in world.record.pairs))

        world.on_sleep = look
        world.roll(batch=1, pause=30.0)
        assert (Stage.STOPPED, Stage.OLD, Stage.OLD) in stages

    def test_without_an_end_it_waits_for_ever(self, world: RolloutWorld) -> None:
        def give_up() -> None:
            if world.clock.now > 1100:
                raise KeyboardInterrupt

        world.on_sleep = give_up
        with pytest.raises(KeyboardInterrupt):
            world.roll(batch=1, pause=math.inf)
        assert world.record.is_paused
        world.on_sleep = lambda: None
        world.fake.rollouts.known["web"] = replace(
            record.promoted(world.record), options=replace(world.record.options, pause=None)
        )
        assert world.resume().outcome is Outcome.COMPLETED


class TestCompose:
    @pytest.fixture(params=[True, False], ids=["agent", "no agent"])
    def world(self, request: pytest.FixtureRequest) -> RolloutWorld:
        return RolloutWorld(composed=True, agent=request.param)

    def test_compose_makes_the_new_ones_by_its_files(self, world: RolloutWorld) -> None:
        rolled = world.roll()
        assert rolled.outcome is Outcome.COMPLETED
        assert world.containers().keys() == {"shop_web_4", "shop_web_5", "shop_web_6"}
        assert world.images() == {"my/web:2"}
        assert set(world.served()) == world.containers().keys()
        assert [pair.new.name for pair in rolled.pairs if pair.new] == ["shop_web_4", "shop_web_5", "shop_web_6"]

    def test_what_it_makes_is_held_from_its_first_moment(self, world: RolloutWorld) -> None:
        served: list[set[str]] = []
        world.before = lambda what: served.append(set(world.served())) if what == "composed" else None
        world.roll()
        assert served == [{"shop_web_1", "shop_web_2", "shop_web_3"}] * 3

    def test_an_image_is_for_its_files_to_say(self, world: RolloutWorld) -> None:
        refusal = refused(world, UsageError, image="my/web:2")
        assert refusal.hint is not None
        assert "/srv/shop/compose.yaml" in refusal.hint

    def test_all_new_ones_are_made_at_once(self, world: RolloutWorld) -> None:
        assert "--surge" in refused(world, UsageError, surge=1).message

    def test_some_of_compose_and_some_not(self, world: RolloutWorld) -> None:
        plain = RolloutWorld(1).fake.engine.running[0]
        service = world.fake.store.services["web"]
        world.fake.store.services["web"] = replace(service, select=(("netshare.service", "web"),))
        labelled = [replace(c, labels={**c.labels, "netshare.service": "web"}) for c in world.fake.engine.running]
        world.fake.engine.running = [*labelled, replace(plain, name="web-9", id="id-of-web-9")]
        assert "can't be replaced together" in refused(world, NetshareError).message

    def test_one_that_does_not_run_would_be_counted_by_compose(self, world: RolloutWorld) -> None:
        first, *others = world.fake.engine.running
        world.fake.engine.running = [replace(first, status=ContainerStatus.EXITED, attachments=()), *others]
        assert "shop_web_1" in refused(world, NetshareError).message

    def test_another_engine_that_does_not_answer_is_no_concern_of_one_on_docker(self, world: RolloutWorld) -> None:
        podman = FakeEngine(name="podman")
        podman.die()
        world.fake.host = replace(world.fake.host, engines={**world.fake.host.engines, "podman": podman})
        world.fake.store.services["web"] = replace(world.fake.store.services["web"], engine="docker")
        assert world.roll().outcome is Outcome.COMPLETED

    def test_compose_refuses(self, world: RolloutWorld) -> None:
        world.composer.refusal = NetshareError("Compose can't make new replicas of web: port is allocated", hint="x")
        with pytest.raises(NetshareError, match="was taken back: Compose can't make new replicas of web"):
            world.roll()
        assert world.containers().keys() == {"shop_web_1", "shop_web_2", "shop_web_3"}

    def test_compose_makes_too_few(self, world: RolloutWorld) -> None:
        world.composer.most = 5
        with pytest.raises(NetshareError, match="was taken back: Compose made 2 new replicas of web in place of 3"):
            world.roll()
        assert world.containers().keys() == {"shop_web_1", "shop_web_2", "shop_web_3"}
        assert set(world.served()) == world.containers().keys()

    def test_an_interrupted_compose_goes_on(self, world: RolloutWorld) -> None:
        made = 0

        def interrupt(what: str) -> None:
            nonlocal made
            made += what == "composed"
            if made == 2:
                made = 9
                raise KeyboardInterrupt

        world.before = interrupt
        with pytest.raises(KeyboardInterrupt):
            world.roll()
        assert world.resume().outcome is Outcome.COMPLETED
        assert len(world.containers()) == 3
        assert world.images() == {"my/web:2"}

    def test_an_interrupted_compose_is_taken_back(self, world: RolloutWorld) -> None:
        def interrupt(what: str) -> None:
            if what == "started":
                raise KeyboardInterrupt

        world.before = interrupt
        with pytest.raises(KeyboardInterrupt):
            world.roll()
        world.before = lambda _: None
        rollout.aborted(world.tools, "web")
        assert world.resume().outcome is Outcome.TAKEN_BACK
        assert world.containers().keys() == {"shop_web_1", "shop_web_2", "shop_web_3"}

    def test_weights_by_hand_go_to_the_new_names(self, world: RolloutWorld) -> None:
        service = world.fake.store.services["web"]
        world.fake.store.services["web"] = replace(service, weights=(("shop_web_2", 5),))
        world.roll()
        assert world.fake.store.services["web"].weights == (("shop_web_5", 5),)
        assert world.served() == {"shop_web_4": 1, "shop_web_5": 5, "shop_web_6": 1}

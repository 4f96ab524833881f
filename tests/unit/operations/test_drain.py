"""Replicas are taken out of rotation and in again, in one transaction, and waited for."""

import math
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest

from netshare.core.draining import Cause, Drain
from netshare.core.flows import Flow, Phase
from netshare.core.model import Container, ContainerStatus, Endpoint, Protocol
from netshare.errors import (
    DefinitionError,
    EngineUnreachableError,
    NetfilterError,
    NetshareError,
    NotFoundError,
)
from netshare.operations.detach import detach
from netshare.operations.drain import Drained, drain, resume
from netshare.operations.draining import End, Ended, Remaining, wait
from netshare.operations.status import status
from netshare.reconcile import reconcile
from tests.fakes.driver import FakeClock
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host
from tests.unit.operations.attaching import run, slots, static


def web(number: int, **labels: str) -> Container:
    return container(f"web-{number}", f"172.17.0.{number}", labels={f"netshare.{k}": v for k, v in labels.items()})


def served(*containers: Container) -> FakeHost:
    fake = fake_host(*(containers or (web(2), web(3), web(4))))
    run(fake)
    return fake


def begin(fake: FakeHost, *words: str, timeout: float | None = None, resuming: tuple[str, ...] = ()) -> Drained:
    return drain(fake.host, fake.agent, "web", words, timeout=timeout, resuming=resuming)


def end(fake: FakeHost, *words: str) -> Drained:
    return resume(fake.host, fake.agent, "web", words)


def states(fake: FakeHost) -> dict[str, str]:
    found = status(fake.host, fake.agent, fake.connections)
    return {each.replica.name: each.replica.state.value for service in found.services for each in service.replicas}


def in_rotation(fake: FakeHost) -> list[str]:
    return [slot.rpartition(":")[0].rpartition(".")[2] for slot in slots(fake)]


def connection(number: int) -> Flow:
    host, replica = Endpoint(ip_address("10.0.0.1"), 80), Endpoint(ip_address(f"172.17.0.{number}"), 80)
    return Flow(Protocol.TCP, host, replica, is_ours=True, phase=Phase.ESTABLISHED)


def opened(fake: FakeHost, number: int, count: int) -> None:
    """Have so many connections go on to a replica."""
    fake.flows.tracked = [connection(number)] * count
    fake.connections.ways = {(Protocol.TCP, 80, connection(number).endpoint): count}


class TestDrain:
    def test_it_gets_no_new_connection_until_it_is_resumed(self) -> None:
        fake = served()
        before = slots(fake)
        drained = begin(fake, "web-3")
        assert drained.drains == (Drain("web", "id-of-web-3", "web-3", "docker", Cause.HAND, 1000.0, 1030.0),)
        assert (drained.changed, drained.warnings) == (True, ())
        assert in_rotation(fake) == ["2", "4"]
        assert states(fake) == {"web-2": "ready", "web-3": "draining", "web-4": "ready"}
        resumed = end(fake, "web-3")
        assert [each.name for each in resumed.ended] == ["web-3"]
        assert slots(fake) == before
        assert fake.drains.noted == ()

    def test_several_in_one_transaction(self) -> None:
        fake = served()
        commits = len(fake.driver.committed)
        begin(fake, "web-2", "id-of-web-3")
        assert in_rotation(fake) == ["4"]
        assert len(fake.driver.committed) == commits + 1
        begin(fake, "web-4", resuming=("web-2", "web-3"))
        assert in_rotation(fake) == ["2", "3"]
        assert len(fake.driver.committed) == commits + 2

    def test_twice_is_once(self) -> None:
        fake = served()
        begin(fake, "web-3")
        fake.drains.time += 10
        again = begin(fake, "web-3")
        assert not again.changed
        assert again.drains[0].deadline == 1030.0
        assert begin(fake, "web-3", timeout=5.0).drains[0].deadline == 1015.0
        assert begin(fake, "web-3", timeout=math.inf).drains[0].deadline == math.inf
        assert not end(fake, "web-2").changed

    def test_for_as_long_as_the_service_or_the_label_says(self) -> None:
        fake = served(web(2, drain="5s"), web(3))
        assert [each.deadline for each in begin(fake, "web-2", "web-3").drains] == [1005.0, 1030.0]
        fake.store.services["web"] = replace(fake.store.services["web"], drain=7.0)
        end(fake, "web-2", "web-3")
        assert [each.deadline for each in begin(fake, "web-2", "web-3").drains] == [1007.0, 1007.0]

    def test_the_last_one_leaves_nobody_and_that_is_said(self) -> None:
        fake = served(web(2), web(3))
        assert begin(fake, "web-2").warnings == ()
        (warning,) = begin(fake, "web-3").warnings
        assert warning == "no other replica of web takes connections: new ones are refused until one does"
        assert slots(fake) == []

    def test_who_is_made_anew_is_another(self) -> None:
        fake = served(web(2), web(3))
        begin(fake, "web-3")
        fake.engine.running = [web(2), replace(web(3), id="another")]
        reconcile(fake.host)
        assert in_rotation(fake) == ["2", "3"]
        assert fake.drains.noted == ()

    def test_who_is_gone_is_told_of(self) -> None:
        fake = served()
        fake.engine.running[1] = replace(fake.engine.running[1], status=ContainerStatus.EXITED)
        (warning,) = begin(fake, "web-3").warnings
        assert "web-3 is gone already (the container is exited)" in warning
        assert states(fake)["web-3"] == "gone"
        with pytest.raises(NotFoundError, match="web has no replica 'web-9'"):
            begin(fake, "web-9")
        with pytest.raises(NotFoundError, match="no service is called"):
            drain(fake.host, fake.agent, "shop", ["web-3"])

    def test_static_ones(self) -> None:
        fake = fake_host()
        run(fake, endpoints=static("172.17.0.2", "172.17.0.3"))
        begin(fake, "172.17.0.3")
        assert in_rotation(fake) == ["2"]
        detach(fake.host, fake.agent, "web")
        assert fake.drains.noted == ()

    def test_of_a_service_that_labels_make(self) -> None:
        fake = fake_host(*(web(number, service="web", port="80") for number in (2, 3)))
        begin(fake, "web-3")
        assert in_rotation(fake) == ["2"]

    def test_a_silent_engine_ends_no_drain(self) -> None:
        fake = served()
        begin(fake, "web-3")
        noted = fake.drains.noted
        failure = fake.engine.failure
        fake.engine.die()
        reconcile(fake.host)
        assert fake.drains.noted == noted
        with pytest.raises(EngineUnreachableError):
            end(fake, "web-3")
        fake.engine.failure = failure
        reconcile(fake.host)
        assert in_rotation(fake) == ["2", "4"]

    def test_what_goes_wrong_changes_nothing(self) -> None:
        fake = served()
        begin(fake, "web-2")
        noted = fake.drains.noted
        fake.driver.failure = NetfilterError("refused")
        with pytest.raises(NetfilterError):
            begin(fake, "web-3", resuming=("web-2",))
        assert fake.drains.noted == noted
        assert in_rotation(fake) == ["3", "4"]

    def test_an_engine_that_goes_silent_at_once_takes_nothing_back(self) -> None:
        fake = served()
        fake.agent.running_pid = 42
        fake.agent.sync = fake.engine.die  # type: ignore[method-assign]
        assert begin(fake, "web-3").changed
        assert [each.name for each in fake.drains.noted] == ["web-3"]

    def test_by_the_agent_where_one_runs(self) -> None:
        fake = served()
        fake.agent.running_pid = 42
        begin(fake, "web-3")
        assert fake.agent.syncs == 1
        assert in_rotation(fake) == ["2", "4"]

    def test_drains_that_cannot_be_read_stop_nothing_else(self) -> None:
        fake = served()
        begin(fake, "web-3")
        fake.drains.blindness = DefinitionError("the drains can't be used", hint="remove the file")
        prepared = reconcile(fake.host)
        assert [problem.message for problem in prepared.problems] == ["the drains can't be used"]
        assert in_rotation(fake) == ["2", "3", "4"]
        with pytest.raises(DefinitionError):
            begin(fake, "web-2")


class TestAStopSignal:
    def test_begins_a_drain_that_ends_with_it(self) -> None:
        fake = served()
        leave(fake, "web-3")
        assert [(each.name, each.cause, each.deadline) for each in fake.drains.noted] == [("web-3", Cause.STOP, 1030.0)]
        assert in_rotation(fake) == ["2", "4"]
        fake.drains.time += 10
        reconcile(fake.host)
        assert fake.drains.noted[0].deadline == 1030.0
        fake.engine.running = [web(2), web(4)]
        reconcile(fake.host)
        assert fake.drains.noted == ()

    def test_is_nothing_to_take_back(self) -> None:
        fake = served()
        leave(fake, "web-3")
        with pytest.raises(NetshareError, match="web-3 can't be taken in again: it was sent its stop signal"):
            end(fake, "web-3")

    def test_cuts_at_the_deadline_who_lives_still(self) -> None:
        fake = served()
        opened(fake, 3, 2)
        leave(fake, "web-3")
        assert len(fake.flows.tracked) == 2
        fake.drains.time += 30
        assert reconcile(fake.host).cleaned.ended == 2
        assert fake.drains.noted[0].cut == 2
        looks = len(fake.flows.looks)
        reconcile(fake.host)
        assert len(fake.flows.looks) == looks


def leave(fake: FakeHost, name: str) -> None:
    fake.engine.running = [replace(each, leaving=each.name == name) for each in fake.engine.running]
    reconcile(fake.host)


class TestWaiting:
    @pytest.fixture
    def fake(self) -> FakeHost:
        fake = served()
        opened(fake, 3, 2)
        return fake

    def await_end(
        self, fake: FakeHost, meanwhile: Callable[[float], None] = lambda _: None, timeout: float | None = None
    ) -> tuple[tuple[Ended, ...], list[Remaining]]:
        """Drain web-3 and wait; ``meanwhile`` is told how many seconds have passed."""
        shown: list[Remaining] = []

        def pass_(now: float) -> None:
            fake.drains.time = now
            meanwhile(now - 1000.0)

        drains = begin(fake, "web-3", timeout=timeout).drains
        clock = FakeClock(pass_)
        ended = wait(fake.host, fake.agent, fake.connections, drains, clock=clock, progress=shown.append)
        return ended, shown

    def test_until_nothing_is_left(self, fake: FakeHost) -> None:
        ended, shown = self.await_end(fake, lambda seconds: opened(fake, 3, 2 - int(seconds)))
        assert [(one.replica, one.how, one.cut) for one in ended] == [("web-3", End.EMPTY, 0)]
        assert 2 <= ended[0].seconds < 2.5
        assert {each.connections for remaining in shown for each in remaining.replicas} == {2, 1}
        assert states(fake)["web-3"] == "draining"

    def test_another_services_connections_to_it_do_not_count(self, fake: FakeHost) -> None:
        fake.connections.ways = {(Protocol.TCP, 81, connection(3).endpoint): 5}
        ended, _ = self.await_end(fake)
        assert (ended[0].how, ended[0].seconds) == (End.EMPTY, 0.0)

    @pytest.mark.parametrize("pid", [None, 42])
    def test_until_the_deadline_and_then_it_is_cut(self, fake: FakeHost, pid: int | None) -> None:
        fake.agent.running_pid = pid
        ended, shown = self.await_end(fake, timeout=3.0)
        assert [(one.how, one.cut) for one in ended] == [(End.CUT, 2)]
        assert 3.0 <= ended[0].seconds < 3.1
        assert shown[-1].replicas[0].to_go <= 0.2
        assert fake.flows.tracked == []

    def test_at_once_where_there_is_no_time(self, fake: FakeHost) -> None:
        ended, shown = self.await_end(fake, timeout=0.0)
        assert [(one.how, one.cut, one.seconds) for one in ended] == [(End.CUT, 2, 0.0)]
        assert shown == []

    def test_for_ever_if_need_be(self, fake: FakeHost) -> None:
        ended, _ = self.await_end(fake, lambda s: opened(fake, 3, 2 if s < 900 else 0), timeout=math.inf)
        assert ended[0].how is End.EMPTY

    def test_until_its_replica_is_gone(self, fake: FakeHost) -> None:
        fake.agent.running_pid = 42

        def stop(seconds: float) -> None:
            if seconds > 2:
                fake.engine.running = [web(2), web(4)]

        ended, _ = self.await_end(fake, stop)
        assert (ended[0].how, ended[0].seconds < 4) == (End.GONE, True)

    def test_until_somebody_takes_it_back(self, fake: FakeHost) -> None:
        def take_back(seconds: float) -> None:
            if seconds > 2 and fake.drains.noted:
                end(fake, "web-3")

        ended, _ = self.await_end(fake, take_back)
        assert (ended[0].how, ended[0].seconds < 4) == (End.RESUMED, True)

    def test_several_each_to_its_own_end(self, fake: FakeHost) -> None:
        drains = begin(fake, "web-3", "web-2", timeout=2.0).drains

        def pass_(now: float) -> None:
            fake.drains.time = now

        ended = wait(fake.host, fake.agent, fake.connections, drains, clock=FakeClock(pass_), progress=lambda _: None)
        assert [(one.replica, one.how, one.cut) for one in ended] == [("web-3", End.CUT, 2), ("web-2", End.EMPTY, 0)]

    def test_what_cannot_be_cut_is_an_error(self, fake: FakeHost) -> None:
        def fail(_seconds: float) -> None:
            fake.flows.failure = NetfilterError("refused", hint="modprobe")

        with pytest.raises(NetshareError, match="web-3 is over, and what is left could not be ended: refused"):
            self.await_end(fake, fail, timeout=1.0)

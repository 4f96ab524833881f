"""The last stage of a reconcile, and what the agent and the verbs make of its outcome."""

import logging
from concurrent.futures import Future
from ipaddress import ip_address

import pytest

from netshare.agent.inbox import Hint
from netshare.agent.loop import Loop
from netshare.core.flows import Flow, Phase
from netshare.core.model import Endpoint, Listener, Protocol, Service
from netshare.errors import EngineUnreachableError, NetfilterError
from netshare.operations.detach import detach
from netshare.operations.reset import reset
from netshare.operations.sync import sync
from netshare.reconcile import reconcile
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host
from tests.unit.agent.test_loop import PACE, ScriptedInbox, Step
from tests.unit.operations.attaching import run, static

HOST = ip_address("198.18.0.1")
REFUSAL = NetfilterError("the kernel refused the end of a udp flow", hint="try again")


def flow(to: str, port: int = 53, protocol: Protocol = Protocol.UDP, *, is_ours: bool = True) -> Flow:
    phase = None if protocol is Protocol.UDP else Phase.ESTABLISHED
    return Flow(protocol, Endpoint(HOST, port), Endpoint(ip_address(to), port), is_ours, phase=phase)


PASSING = flow(str(HOST), is_ours=False)
TO_ONE, TO_TWO = flow("172.17.0.2"), flow("172.17.0.3")


@pytest.fixture
def fake() -> FakeHost:
    """A service with two replicas, long since served."""
    made = fake_host(container("dns-1", "172.17.0.2"), container("dns-2", "172.17.0.3"))
    made.store.save(Service("dns", (Listener(53, Protocol.UDP), Listener(53))))
    reconcile(made.host)
    made.flows.looks.clear()
    return made


def loop(fake: FakeHost, *steps: Step) -> ScriptedInbox:
    inbox = ScriptedInbox(*steps)
    Loop(fake.host, inbox, PACE).run()
    return inbox


class TestReconcile:
    def test_flows_end_once_the_change_is_in_the_kernel(self, fake: FakeHost) -> None:
        fake.flows.tracked = [TO_ONE, TO_TWO]
        fake.engine.running.pop(0)
        assert reconcile(fake.host).cleaned.ended == 1
        assert fake.flows.tracked == [TO_TWO]

    def test_nothing_is_looked_at_without_a_reason(self, fake: FakeHost) -> None:
        fake.flows.tracked = [flow("172.17.0.99")]
        reconcile(fake.host)
        assert fake.flows.looks == []
        assert reconcile(fake.host, thorough=True).cleaned.ended == 1

    def test_not_at_all_if_the_kernel_refuses_the_change(self, fake: FakeHost) -> None:
        fake.engine.running.clear()
        fake.driver.failure = NetfilterError("the kernel refused element")
        with pytest.raises(NetfilterError):
            reconcile(fake.host)
        assert fake.flows.looks == []

    def test_a_problem_there_is_told_and_takes_nothing_back(self, fake: FakeHost) -> None:
        fake.flows.failure = REFUSAL
        fake.engine.running.pop(0)
        assert reconcile(fake.host).cleaned.problem is REFUSAL
        assert all(len(each.slots) <= 1 for each in fake.driver.observe().ruleset.dispatches.values())


class TestVerbs:
    def test_attach_succeeds_and_warns(self) -> None:
        fake = fake_host()
        fake.flows.failure = REFUSAL
        attached = run(fake, port=53, protocol=Protocol.UDP, endpoints=static("172.17.0.2"))
        assert attached.warnings == ("the kernel refused the end of a udp flow (try again)",)
        assert "web" in fake.store.services
        assert fake.driver.observe().ruleset.dispatches

    def test_so_does_detach(self, fake: FakeHost) -> None:
        fake.flows.failure = REFUSAL
        detached = detach(fake.host, fake.agent, "dns")
        assert detached.warnings == ("the kernel refused the end of a udp flow (try again)",)
        assert fake.store.services == {}
        assert not fake.driver.observe().ruleset.dispatches

    def test_sync_shows_it_as_a_problem(self, fake: FakeHost) -> None:
        fake.flows.failure = REFUSAL
        fake.engine.running.pop(0)
        assert sync(fake.host, fake.agent, fake.connections).problems == (REFUSAL,)

    def test_reset_ends_datagram_flows_and_no_connection(self, fake: FakeHost) -> None:
        connection = flow("172.17.0.2", protocol=Protocol.TCP)
        fake.flows.tracked = [TO_ONE, PASSING, connection]
        reset(fake.host, fake.agent)
        assert fake.flows.tracked == [PASSING, connection]


class TestAgent:
    @pytest.fixture(autouse=True)
    def log(self, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
        caplog.set_level(logging.INFO, "netshare")
        return caplog

    def test_it_looks_when_it_starts_and_no_more(self, fake: FakeHost, log: pytest.LogCaptureFixture) -> None:
        fake.flows.tracked = [flow("172.17.0.99"), TO_ONE]
        loop(fake, [Hint("docker settled")], [])
        assert len(fake.flows.looks) == 1
        assert fake.flows.tracked == [TO_ONE]
        assert [message.rpartition(" ms=")[0] for message in log.messages] == ["clean cause='start' flows_ended=1"]

    def test_it_tells_how_many_a_change_ended(self, fake: FakeHost, log: pytest.LogCaptureFixture) -> None:
        def died() -> list[Hint]:
            fake.engine.running.pop(0)
            return [Hint("docker die")]

        fake.flows.tracked = [TO_ONE, TO_TWO]
        loop(fake, died)
        assert " flows_ended=1 " in log.messages[-1]
        assert log.messages[-1].startswith("apply cause='docker die' ")

    def test_nothing_ended_nothing_is_told(self, fake: FakeHost, log: pytest.LogCaptureFixture) -> None:
        fake.engine.running.clear()
        loop(fake)
        assert "flows_ended" not in "".join(log.messages)

    def test_a_problem_is_told_once_and_tried_again_soon(self, fake: FakeHost, log: pytest.LogCaptureFixture) -> None:
        def refuse_again() -> list[Hint]:
            fake.flows.failure = REFUSAL
            return []

        done: Future[None] = Future()
        fake.flows.failure = REFUSAL
        inbox = loop(fake, refuse_again, [Hint("asked", done=done)], [])
        assert log.messages == ["clean problem='the kernel refused the end of a udp flow' hint='try again'"]
        assert inbox.patience == [0.5, 1, PACE.most, PACE.most]
        assert len(fake.flows.looks) == 3
        assert done.result(0) is None

    def test_whoever_asked_is_not_told_of_it(self, fake: FakeHost) -> None:
        """What they asked for is in the kernel: taking it back would be wrong."""
        done: Future[None] = Future()

        def asked() -> list[Hint]:
            fake.flows.failure = REFUSAL
            fake.engine.running.pop()
            return [Hint("asked", done=done)]

        loop(fake, asked)
        assert done.result(0) is None

    def test_it_looks_again_after_a_failure(self, fake: FakeHost) -> None:
        def blind() -> list[Hint]:
            fake.driver.blindness = NetfilterError("the kernel refused")
            return []

        def mended() -> list[Hint]:
            fake.driver.blindness = None
            return []

        loop(fake, blind, mended, [])
        assert len(fake.flows.looks) == 2

    def test_it_looks_again_when_a_service_is_known_again(self, fake: FakeHost) -> None:
        """Until then a flow without a listener may have been that service's."""
        orphan = flow("172.17.0.99", port=514)
        fake.flows.tracked = [orphan]
        fake.engine.failure = EngineUnreachableError("docker does not answer")

        def back() -> list[Hint]:
            assert fake.flows.tracked == [orphan]
            fake.engine.failure = None
            return []

        loop(fake, [], back, [], [])
        assert fake.flows.tracked == []
        assert len(fake.flows.looks) == 2

"""The loop, in simulated time: a scripted inbox says what comes when the loop waits, and for how long it would."""

import logging
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from netshare.agent.inbox import Hint, Inbox
from netshare.agent.loop import Loop, Pace
from netshare.core.model import Container, Listener, Service
from netshare.errors import NetfilterError, NotPermittedError
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host

PACE = Pace(least=0.01, retry=0.5, most=30.0)
NOW_NS = 5_000_000_000
Step = list[Hint] | None | Callable[[], list[Hint]]


class ScriptedInbox(Inbox):
    """Gives one step after the other; ends after the last."""

    def __init__(self, *steps: Step) -> None:
        super().__init__()
        self._steps = list(steps)
        self.patience: list[float] = []
        self.pauses: list[float] = []

    def take(self, timeout: float) -> list[Hint] | None:
        self.patience.append(timeout)
        step = self._steps.pop(0) if self._steps else None
        return step() if callable(step) else step

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


def web(*containers: Container) -> FakeHost:
    fake = fake_host(*containers)
    fake.store.save(Service("web", (Listener(80),)))
    return fake


def run(fake: FakeHost, *steps: Step) -> ScriptedInbox:
    inbox = ScriptedInbox(*steps)
    Loop(fake.host, inbox, PACE, lambda: NOW_NS).run()
    return inbox


@pytest.fixture
def replica() -> Container:
    return container("web-1", "172.17.0.2", exposed=(8080,))


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "netshare")
    return caplog


def test_it_reconciles_when_it_starts_and_leaves_the_kernel_when_it_ends(replica: Container) -> None:
    fake = web(replica)
    inbox = run(fake)
    assert len(fake.driver.committed) == 1
    assert fake.driver.observe().ruleset.dispatches
    assert inbox.patience == [PACE.most]


def test_a_burst_is_one_reconcile(replica: Container) -> None:
    fake = web(replica)
    run(fake, [Hint(f"docker start {number}") for number in range(100)])
    assert fake.engine.listings == 2


def test_it_pauses_after_each_so_that_a_burst_can_gather(replica: Container) -> None:
    inbox = run(web(replica), [Hint("one")], [Hint("two")])
    assert inbox.pauses == [PACE.least] * 3


def test_where_nothing_came_it_reconciles_all_the_same(replica: Container, log: pytest.LogCaptureFixture) -> None:
    fake = web(replica)

    def tampered() -> list[Hint]:
        fake.driver.tamper()
        return []

    run(fake, tampered)
    assert fake.driver.observe().intact
    assert "apply cause='timer'" in log.messages[-1]
    assert "rebuilt=yes" in log.messages[-1]


def test_nothing_changed_nothing_is_said(replica: Container, log: pytest.LogCaptureFixture) -> None:
    fake = web(replica)
    run(fake, [Hint("docker settled")], [])
    assert len(fake.driver.committed) == 1
    assert [message.split()[0] for message in log.messages] == ["apply"]


def test_it_tells_how_long_after_the_first_event(replica: Container, log: pytest.LogCaptureFixture) -> None:
    fake = web()

    def started() -> list[Hint]:
        fake.engine.running.append(replica)
        first, second = NOW_NS - 12_500_000, NOW_NS - 3_000_000
        return [Hint("docker create"), Hint("docker start", second), Hint("docker connect", first)]

    run(fake, started)
    assert log.messages[-1].startswith("apply cause='docker create, docker start, docker connect' ")
    assert log.messages[-1].endswith(" since_event_ms=12.5")


def test_what_fails_is_tried_again_later_and_later(log: pytest.LogCaptureFixture) -> None:
    fake = web()
    fake.driver.blindness = NetfilterError("the kernel refused")

    def mended() -> list[Hint]:
        fake.driver.blindness = None
        return []

    inbox = run(fake, *([[]] * 8), mended)
    assert inbox.patience == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, PACE.most]
    assert log.messages[0] == "reconcile cause='start' failed=kernel_refused reason='the kernel refused'"
    assert log.messages[-1].startswith("apply cause='timer'")


def test_after_a_success_it_starts_over(replica: Container) -> None:
    fake = web(replica)

    def failing() -> list[Hint]:
        fake.driver.blindness = NetfilterError("the kernel refused")
        return []

    def mended() -> list[Hint]:
        fake.driver.blindness = None
        return []

    inbox = run(fake, failing, [], mended, failing)
    assert inbox.patience == [30, 0.5, 1, 30, 0.5]


def test_whoever_asked_is_answered(replica: Container) -> None:
    fake = web(replica)
    fine: Future[None] = Future()
    refused: Future[None] = Future()

    def failing() -> list[Hint]:
        fake.driver.blindness = NotPermittedError("not root")
        return [Hint("event"), Hint("asked", done=refused)]

    run(fake, [Hint("asked", done=fine)], failing)
    assert fine.result(0) is None
    with pytest.raises(NotPermittedError, match="not root"):
        refused.result(0)


def test_an_engine_that_is_silent_is_told_of_once(replica: Container, log: pytest.LogCaptureFixture) -> None:
    fake = web(replica)

    def died() -> list[Hint]:
        fake.engine.die()
        return []

    def back() -> list[Hint]:
        fake.engine.failure = None
        return []

    before = run(fake, died, [], [], back, died)
    assert len(fake.driver.committed) == 1
    assert before.patience == [PACE.most] * 6
    told = "observe problem='docker does not answer' kept=web"
    assert [message for message in log.messages if message.startswith("observe")] == [told, told]


def test_what_labels_ask_for_and_do_not_get_is_told_of_once(log: pytest.LogCaptureFixture) -> None:
    fake = fake_host(container("odd\n", "172.17.0.2", labels={"netshare.service": "api", "netshare.port": "x"}))

    def worse() -> list[Hint]:
        fake.engine.running.append(container("web", "172.17.0.3", labels={"netshare.port": "80"}))
        return []

    run(fake, [], worse, [])
    assert log.messages == [
        (
            "label container='odd\\n' engine=docker service=api "
            "reason=\"its label netshare.port can't be used: 'x' is not a port\""
        ),
        (
            "label container='web' engine=docker "
            "reason='its label netshare.port needs netshare.service beside it to name a service'"
        ),
    ]


def test_a_crash_of_a_source_ends_it(replica: Container) -> None:
    inbox = Inbox()
    inbox.fail(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        Loop(web(replica).host, inbox, PACE).run()


def test_a_bug_of_its_own_is_not_caught(replica: Container) -> None:
    fake = web(replica)

    def broken() -> list[Hint]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(fake, broken)


class Told:
    """Whoever started the agent."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bool]] = []

    def reconciled(self, state: str, *, went_well: bool) -> None:
        self.heard.append((state, went_well))


def test_every_turn_is_told_to_whoever_started_the_agent(replica: Container) -> None:
    fake, supervisor = web(replica), Told()
    fake.driver.failure = NetfilterError("the kernel refused")
    Loop(fake.host, ScriptedInbox([], [Hint("more")]), PACE, supervisor=supervisor).run()
    well = ("services 1, replicas ready 1 of 1", True)
    assert supervisor.heard == [("failed: the kernel refused", False), well, well]


def test_a_burst_of_causes_is_one_line_of_bounded_length(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "netshare")
    run(web(container("web-1", "172.17.0.2", exposed=(80,))), [])
    fake = web(container("web-1", "172.17.0.2", exposed=(80,)))
    Loop(fake.host, ScriptedInbox(), PACE)._reconcile([Hint(f"docker start {number}") for number in range(10_000)])  # noqa: SLF001
    [line] = [message for message in caplog.messages if "docker start" in message]
    assert "docker start 4 and 9995 more" in line
    assert len(line) < 400

"""The agent keeps the deadlines of drains, and says what became of them."""

import logging
import math
from ipaddress import ip_address

import pytest

from netshare.agent.inbox import Hint
from netshare.agent.loop import Loop
from netshare.core.flows import Flow, Phase
from netshare.core.model import Endpoint, Protocol
from netshare.errors import NetfilterError
from netshare.operations.drain import drain, resume
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host
from tests.unit.agent.test_loop import PACE, ScriptedInbox, run
from tests.unit.operations.attaching import run as attach

AT = Endpoint(ip_address("172.17.0.2"), 80)
CONNECTION = Flow(Protocol.TCP, Endpoint(ip_address("10.0.0.1"), 80), AT, is_ours=True, phase=Phase.ESTABLISHED)


class SlowInbox(ScriptedInbox):
    """A second passes whenever the loop lets a burst gather."""

    def __init__(self, fake: FakeHost) -> None:
        super().__init__()
        self._fake = fake

    def pause(self, seconds: float) -> None:
        super().pause(seconds)
        self._fake.drains.time += 1


@pytest.fixture
def fake() -> FakeHost:
    made = fake_host(container("web-2", "172.17.0.2"), container("web-3", "172.17.0.3"))
    attach(made)
    made.flows.tracked = [CONNECTION]
    return made


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="netshare")
    return caplog


def said(log: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in log.messages if message.startswith("drain")]


def test_it_wakes_at_the_deadline_and_cuts(fake: FakeHost, log: pytest.LogCaptureFixture) -> None:
    drain(fake.host, fake.agent, "web", ["web-2"], timeout=5.0)

    def later() -> list[Hint]:
        assert fake.flows.tracked == [CONNECTION]
        fake.drains.time += 5.002
        return []

    inbox = run(fake, later)
    assert inbox.patience == [pytest.approx(5.002), PACE.most]
    assert fake.flows.tracked == []
    assert said(log) == [
        "drain service=web replica=web-2 cause='hand' seconds_to_go=5.0",
        "drain service=web replica=web-2 cause='hand' deadline=over cut=1",
    ]


def test_one_that_comes_while_it_reconciles_is_not_missed(fake: FakeHost) -> None:
    drain(fake.host, fake.agent, "web", ["web-2"], timeout=5.0)
    fake.drains.time += 4.9
    inbox = SlowInbox(fake)
    Loop(fake.host, inbox, PACE).run()
    assert inbox.patience == [pytest.approx(0.002)]


def test_what_cannot_be_cut_is_tried_again(fake: FakeHost) -> None:
    drain(fake.host, fake.agent, "web", ["web-2"], timeout=5.0)
    fake.drains.time += 6
    fake.flows.failure = NetfilterError("busy")
    inbox = run(fake, [])
    assert inbox.patience == [PACE.retry, PACE.most]
    assert fake.flows.tracked == []


def test_it_says_when_one_is_no_more_or_never_ends(fake: FakeHost, log: pytest.LogCaptureFixture) -> None:
    drain(fake.host, fake.agent, "web", ["web-2"], timeout=math.inf)

    def taken_back() -> list[Hint]:
        resume(fake.host, fake.agent, "web", ["web-2"])
        return []

    inbox = run(fake, taken_back)
    assert inbox.patience == [PACE.most, PACE.most]
    assert said(log) == [
        "drain service=web replica=web-2 cause='hand' seconds_to_go=none",
        "drain service=web replica=web-2 cause='hand' end=yes",
    ]

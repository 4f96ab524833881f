"""Who leaves clients waiting is looked at."""

from collections.abc import Set
from ipaddress import ip_address
from threading import Thread

import pytest

from netshare.agent.suspicion import Suspicion
from netshare.core.model import Endpoint
from netshare.errors import NetfilterError
from tests.netns.waiting import until

ONE = Endpoint(ip_address("10.0.0.1"), 8080)


class FakeUnanswered:
    def __init__(self) -> None:
        self.looks = 0
        self.failure: NetfilterError | None = None
        self.is_closed = False

    def endpoints(self) -> Set[Endpoint]:
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        return {ONE}

    def close(self) -> None:
        self.is_closed = True


class FakeSuspects:
    def __init__(self) -> None:
        self.is_busy = True
        self.suspected: list[Set[Endpoint]] = []

    def suspect(self, endpoints: Set[Endpoint]) -> None:
        self.suspected.append(endpoints)


def test_it_looks_now_and_then_and_tells_whom_it_saw() -> None:
    unanswered, suspects = FakeUnanswered(), FakeSuspects()
    suspicion = Suspicion(unanswered, suspects, pause=0.01)
    thread = Thread(target=suspicion.follow, daemon=True)
    thread.start()
    until(lambda: len(suspects.suspected) > 2)
    suspicion.close()
    thread.join(timeout=10)
    assert suspects.suspected[0] == {ONE}
    assert unanswered.is_closed


def test_with_nothing_to_probe_it_does_not_look() -> None:
    unanswered, suspects = FakeUnanswered(), FakeSuspects()
    suspects.is_busy = False
    suspicion = Suspicion(unanswered, suspects, pause=0.01)
    thread = Thread(target=suspicion.follow, daemon=True)
    thread.start()
    thread.join(timeout=0.2)
    assert unanswered.looks == 0
    suspects.is_busy = True
    until(lambda: unanswered.looks > 0)
    suspicion.close()
    thread.join(timeout=10)


def test_a_kernel_that_can_not_tell_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    unanswered, suspects = FakeUnanswered(), FakeSuspects()
    unanswered.failure = NetfilterError("could not read the tracked connections")
    suspicion = Suspicion(unanswered, suspects, pause=0.01)
    thread = Thread(target=suspicion.follow, daemon=True)
    thread.start()
    until(lambda: unanswered.looks > 3)
    unanswered.failure = None
    until(lambda: bool(suspects.suspected))
    suspicion.close()
    thread.join(timeout=10)
    assert len(caplog.messages) == 1

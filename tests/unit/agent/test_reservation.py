"""What the loop has reserved, and when."""

from collections.abc import Iterator, Set
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread

import pytest

from netshare.agent.inbox import Hint, Inbox
from netshare.agent.loop import Loop
from netshare.core.model import Listener, Service
from netshare.core.ruleset import Match
from netshare.errors import NetfilterError
from tests.fakes.host import FakeHost, fake_host
from tests.unit.operations.attaching import HTTP, HTTP6, static

WEB = Service("web", (Listener(80),), endpoints=static("10.0.0.2"))


class FakeReservation:
    """Remembers every demand, and whether a hint had been answered by then."""

    def __init__(self) -> None:
        self.reserved: list[Set[Match]] = []
        self.answered: list[bool] = []
        self.watched: Future[None] | None = None

    def reserve(self, matches: Set[Match]) -> None:
        self.reserved.append(frozenset(matches))
        self.answered.append(self.watched is not None and self.watched.done())

    def close(self) -> None:
        raise AssertionError("the loop's owner closes it")


@contextmanager
def running(fake: FakeHost, reservation: FakeReservation) -> Iterator[Inbox]:
    inbox = Inbox()
    thread = Thread(target=Loop(fake.host, inbox, reservation=reservation).run, daemon=True)
    thread.start()
    try:
        yield inbox
    finally:
        inbox.close()
        thread.join()


def ask(inbox: Inbox, reservation: FakeReservation) -> None:
    reservation.watched = Future()
    inbox.put(Hint("asked", done=reservation.watched))
    reservation.watched.result(10)


def test_what_is_attached_is_reserved_and_what_is_detached_is_not() -> None:
    fake, reservation = fake_host(), FakeReservation()
    with running(fake, reservation) as inbox:
        ask(inbox, reservation)
        assert reservation.reserved[-1] == set()
        fake.store.save(WEB)
        ask(inbox, reservation)
        assert reservation.reserved[-1] == {HTTP, HTTP6}
        fake.store.delete("web")
        ask(inbox, reservation)
        assert reservation.reserved[-1] == set()
    assert not any(reservation.answered)


def test_what_is_kept_in_the_kernel_stays_reserved() -> None:
    fake, reservation = fake_host(), FakeReservation()
    fake.store.save(WEB)
    with running(fake, reservation) as inbox:
        ask(inbox, reservation)
        fake.store.corrupt("web")
        ask(inbox, reservation)
        assert reservation.reserved[-1] == {HTTP, HTTP6}


def test_a_reconcile_that_fails_reserves_nothing_else() -> None:
    fake, reservation = fake_host(), FakeReservation()
    with running(fake, reservation) as inbox:
        ask(inbox, reservation)
        before = len(reservation.reserved)
        fake.store.save(WEB)
        fake.driver.failure = NetfilterError("refused")
        with pytest.raises(NetfilterError):
            ask(inbox, reservation)
        assert len(reservation.reserved) == before
        ask(inbox, reservation)
        assert reservation.reserved[-1] == {HTTP, HTTP6}

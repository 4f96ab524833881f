import os
import signal
import threading

import pytest

from netshare.agent import daemon
from netshare.agent.inbox import Hint, Inbox


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_source_that_crashes_takes_the_loop_with_it() -> None:
    inbox = Inbox()
    ended = threading.Event()

    def crash() -> None:
        raise ZeroDivisionError("a bug")

    threads = daemon._start(inbox, [crash, ended.set])  # noqa: SLF001 (the rest of `run` needs a real host)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        inbox.take(60)
    for thread in threads:
        thread.join(20)
    assert ended.is_set()


def test_signals_are_hints_and_the_end_for_as_long_as_it_runs() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    inbox = Inbox()
    with daemon._signals(inbox):  # noqa: SLF001
        os.kill(os.getpid(), signal.SIGHUP)
        assert inbox.take(60) == [Hint("SIGHUP")]
        os.kill(os.getpid(), signal.SIGTERM)
        assert inbox.take(60) is None
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.mark.parametrize(("patience", "most"), [(None, 30.0), (120.0, 30.0), (4.0, 2.0)])
def test_it_reconciles_twice_within_the_watchdogs_patience(patience: float | None, most: float) -> None:
    assert daemon._pace(patience).most == most  # noqa: SLF001

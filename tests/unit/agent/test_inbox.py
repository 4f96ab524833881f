import threading
import time

import pytest

from netshare.agent.inbox import Hint, Inbox


def test_hints_pile_up_and_are_taken_together() -> None:
    inbox = Inbox()
    threads = [threading.Thread(target=inbox.put, args=(Hint(f"cause {number}"),)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {hint.cause for hint in inbox.take(0) or ()} == {f"cause {number}" for number in range(50)}
    assert inbox.take(0) == []


def test_whoever_waits_is_woken() -> None:
    inbox = Inbox()
    timer = threading.Timer(0.01, inbox.put, [Hint("late")])
    timer.start()
    assert inbox.take(60) == [Hint("late")]
    timer.join()


def test_the_end_comes_before_hints_that_are_left() -> None:
    inbox = Inbox()
    inbox.put(Hint("left"))
    inbox.close()
    assert inbox.take(60) is None


def test_a_crash_of_a_source_is_one_of_whoever_takes() -> None:
    inbox = Inbox()
    inbox.put(Hint("left"))
    inbox.fail(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        inbox.take(60)


def test_a_pause_lasts_whatever_comes_but_the_end() -> None:
    inbox = Inbox()
    inbox.put(Hint("waiting"))
    began = time.monotonic()
    inbox.pause(0.02)
    assert time.monotonic() - began >= 0.02
    inbox.close()
    inbox.pause(60)

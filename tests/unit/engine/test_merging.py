import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from netshare.engine.merging import Source, merged
from netshare.engine.protocol import EngineEvent, EventKind
from netshare.errors import EngineUnreachableError


class Pipe:
    """A source whose hints are put in by hand."""

    def __init__(self) -> None:
        self.given: SimpleQueue[str | Exception | None] = SimpleQueue()
        self.interrupted = threading.Event()
        self.source = Source(self._hints, self._interrupt)

    def _interrupt(self) -> None:
        self.interrupted.set()
        self.given.put(None)

    def _hints(self) -> Iterator[EngineEvent]:
        while (given := self.given.get()) is not None:
            if isinstance(given, Exception):
                raise given
            yield EngineEvent(EventKind.CHANGED, action=given)


def test_hints_of_all_come_as_they_come_after_one_of_the_first() -> None:
    first, other = Pipe(), Pipe()
    other.given.put("too early")
    hints = merged(first.source, other.source)
    first.given.put("subscribed")
    assert next(hints).action == "subscribed"
    assert next(hints).action == "too early"
    first.given.put("start")
    assert next(hints).action == "start"
    other.given.put("record")
    assert next(hints).action == "record"
    hints.close()  # type: ignore[attr-defined] # it is a generator
    assert first.interrupted.is_set()
    assert other.interrupted.is_set()


@pytest.mark.parametrize("broken", [0, 1])
def test_what_one_raises_ends_all(broken: int) -> None:
    pipes = Pipe(), Pipe()
    hints = merged(*(pipe.source for pipe in pipes))
    pipes[0].given.put("subscribed")
    next(hints)
    pipes[broken].given.put(EngineUnreachableError("it broke"))
    with pytest.raises(EngineUnreachableError, match="it broke"):
        next(hints)
    assert pipes[1 - broken].interrupted.is_set()


def test_one_that_breaks_at_once() -> None:
    first, other = Pipe(), Pipe()
    first.given.put(EngineUnreachableError("nobody listens"))
    with pytest.raises(EngineUnreachableError):
        list(merged(first.source, other.source))
    assert not other.interrupted.is_set()


def test_the_end_of_one_is_the_end() -> None:
    first, other = Pipe(), Pipe()
    first.given.put("subscribed")
    first.given.put(None)
    assert [hint.action for hint in merged(first.source, other.source)] == ["subscribed"]

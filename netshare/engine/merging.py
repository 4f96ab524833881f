"""Several sources of hints that block, told as one."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue

from netshare.engine.protocol import EngineEvent

_AGAIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Source:
    """Hints that come whenever they come; ``interrupt`` makes whoever waits for the next one stop waiting.

    It may be called more than once, and at moments when nobody waits.
    """

    hints: Callable[[], Iterator[EngineEvent]]
    interrupt: Callable[[], None]


def merged(first: Source, *others: Source) -> Iterator[EngineEvent]:
    """Give the hints of all sources as they come, the others' only after one of the first; ends as soon as one ends.

    Each is read in a thread of its own, and all have ended when this has. What a source raises is raised here.
    """
    told: SimpleQueue[EngineEvent | None] = SimpleQueue()

    def read(source: Source) -> None:
        try:
            for hint in source.hints():
                told.put(hint)
        finally:
            told.put(None)

    reading: dict[Future[None], Source] = {}
    with ThreadPoolExecutor(1 + len(others), "hints") as threads:
        try:
            reading[threads.submit(read, first)] = first
            while (hint := told.get()) is not None:
                yield hint
                if len(reading) == 1:
                    reading |= {threads.submit(read, source): source for source in others}
        finally:
            _end(reading)
    for future in reading:
        future.result()


def _end(reading: dict[Future[None], Source]) -> None:
    """Interrupt all, again and again: one may have been about to wait when it was told."""
    while left := [future for future in reading if not future.done()]:
        for future in left:
            reading[future].interrupt()
        wait(left, _AGAIN_SECONDS)

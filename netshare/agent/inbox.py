"""Where every source of change drops its hint: they pile up while a reconcile runs, and one more answers them all."""

from dataclasses import dataclass
from threading import Condition
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future


@dataclass(frozen=True, slots=True)
class Hint:
    """Why to reconcile: in words, and when it happened by the engine's clock (nanoseconds since 1970, 0: unknown).

    ``done`` is resolved by the reconcile that answers it, for those who wait.
    """

    cause: str
    time_ns: int = 0
    done: "Future[None] | None" = None


class Inbox:
    """Hints from many threads to one."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._hints: list[Hint] = []
        self._failure: BaseException | None = None
        self._closed = False

    def put(self, hint: Hint) -> None:
        """Leave a hint."""
        with self._changed:
            self._hints.append(hint)
            self._changed.notify_all()

    def fail(self, failure: BaseException) -> None:
        """Tell that a source has crashed: whoever takes from the inbox crashes with it."""
        with self._changed:
            self._failure = failure
            self._changed.notify_all()

    def close(self) -> None:
        """Tell that it is time to end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, timeout: float) -> list[Hint] | None:
        """Wait for hints and take them all; none after ``timeout`` seconds, ``None`` when it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._hints or self._failure or self._closed, timeout)
            if self._failure is not None:
                raise self._failure
            if self._closed:
                return None
            taken, self._hints = self._hints, []
            return taken

    def pause(self, seconds: float) -> None:
        """Let a burst gather; ends early only when it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or self._closed, seconds)

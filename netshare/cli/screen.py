"""A terminal that is taken over for a live view, and given back as it was, however that ends.

The view is drawn over the last one, so nothing flickers, in the terminal's other screen: what was printed before is
there again afterwards. Text comes as rich's, with names made harmless by whoever draws them (`netshare.cli.output`).
"""

import io
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.control import Control
from rich.screen import Screen as Page

from netshare.cli.keys import keys

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_EXIT_OF_SIGNAL = 128
_AT_ONCE = 1 << 10


def is_possible() -> bool:
    """Whether standard output is a terminal that can be drawn on."""
    return sys.stdout.isatty() and not Console().is_dumb_terminal


class Screen:
    """The terminal on standard output, and the keys of the one on standard input, for the length of a ``with`` block.

    Ctrl-C raises as everywhere, SIGTERM ends the program, and both give the terminal back first; so does Ctrl-Z, until
    the program goes on.
    """

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False)
        self._stack = ExitStack()
        self._wakes, self._wake = -1, -1
        self._keyboard = sys.stdin.fileno() if sys.stdin.isatty() else -1
        self._settings: list[Any] | None = None
        self._is_drawing = False
        self._is_stop_wanted = False

    def __enter__(self) -> Self:
        """Take the terminal over."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a locale of old may lack a sign that is drawn
        with ExitStack() as stack:
            self._wakes, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            stack.callback(os.close, self._wakes)
            stack.callback(os.close, self._wake)
            stack.enter_context(_wakeup(self._wake))
            stack.callback(self._leave)
            for number, handler in self._handlers():
                stack.enter_context(_handled(number, handler))
            self._take()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the terminal back."""
        self._stack.close()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        width, height = self._console.size
        return max(1, width), max(1, height)

    def show(self, view: RenderableType) -> None:
        """Draw a view over the last, in one write; what has no room is cut off."""
        self._is_drawing = True
        with self._console:
            self._console.control(Control.home())
            self._console.print(Page(view), end="")
        self._is_drawing = False
        if self._is_stop_wanted:
            self._suspend()

    def wait(self, seconds: float) -> list[str]:
        """Wait until the time is over, the terminal has changed, or keys are pressed; gives these."""
        ready, _, _ = select.select([self._wakes, *([self._keyboard] if self._keyboard >= 0 else [])], [], [], seconds)
        if self._wakes in ready:
            os.read(self._wakes, _AT_ONCE)
        if self._keyboard not in ready:
            return []
        sent = os.read(self._keyboard, _AT_ONCE)
        if not sent:
            self._keyboard = -1  # hung up: it would be ready for ever
        return list(keys(sent.decode("utf-8", "replace")))

    def _take(self) -> None:
        if self._keyboard >= 0 and self._settings is None:
            self._settings = termios.tcgetattr(self._keyboard)
            tty.setcbreak(self._keyboard, termios.TCSADRAIN)
        self._console.set_alt_screen(True)
        self._console.show_cursor(False)

    def _leave(self) -> None:
        self._console.show_cursor(True)
        self._console.set_alt_screen(False)
        if self._settings is not None:
            with suppress(termios.error):  # it has hung up
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._settings)
            self._settings = None

    def _handlers(self) -> Iterator[tuple[signal.Signals, "_Handler"]]:
        yield signal.SIGWINCH, lambda _number, _frame: None  # its byte in the pipe is all that is wanted
        yield signal.SIGTSTP, lambda _number, _frame: self._suspend()
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                yield number, _end

    def _suspend(self) -> None:
        """Stop as Ctrl-Z asks for, and go on from there; not in the middle of a view that is not written yet."""
        self._is_stop_wanted = self._is_drawing
        if self._is_drawing:
            return
        self._leave()
        with _handled(signal.SIGTSTP, signal.SIG_DFL):
            os.kill(os.getpid(), signal.SIGTSTP)
        self._take()


_Handler = Callable[[int, FrameType | None], object] | signal.Handlers


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(_EXIT_OF_SIGNAL + number)


@contextmanager
def _handled(number: signal.Signals, handler: _Handler) -> Iterator[None]:
    """Handle a signal in another way until the block ends."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def _wakeup(descriptor: int) -> Iterator[None]:
    """Have every signal leave a byte, so that whoever waits is woken."""
    before = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)

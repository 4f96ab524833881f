"""A terminal with a program on it: what the program writes is drawn by an emulator, and keys are typed to it."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import pyte

_PATIENCE = 30.0
Start = Callable[..., "subprocess.Popen[Any]"]

# The child makes the terminal its own: job control and Ctrl-C's signal come by that.
_OWN = "import os, sys; os.login_tty(0); os.execvp(sys.argv[1], sys.argv[1:])"


class Terminal:
    """``netshare`` with some words, on a terminal of so many columns and lines."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        start: Start = subprocess.Popen,
        through: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        size: tuple[int, int] = (120, 24),
    ) -> None:
        """``start`` starts the program, elsewhere than here for one in a lab; ``through`` is another that runs it."""
        self.written = b""
        self._lock = threading.Lock()
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._own, other = pty.openpty()
        self._resize(size)
        command = [sys.executable, "-c", _OWN, *through, sys.executable, "-m", "netshare", *words]
        env = dict(os.environ if environment is None else environment)
        env.setdefault("TERM", "xterm-256color")
        for name in ("COLUMNS", "LINES"):
            env.pop(name, None)
        self.before = termios.tcgetattr(self._own)
        self.process = start(command, stdin=other, stdout=other, stderr=other, env=env)
        os.close(other)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(5)
        os.close(self._own)

    @property
    def lines(self) -> list[str]:
        """What is to be seen."""
        with self._lock:
            return [line.rstrip() for line in self._screen.display]

    @property
    def colours(self) -> set[str]:
        """The colours that are to be seen."""
        with self._lock:
            return {cell.fg for row in self._screen.buffer.values() for cell in row.values()}

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._own, keys.encode())

    def resize(self, size: tuple[int, int]) -> None:
        """Change the size of its window."""
        with self._lock:
            self._screen.resize(size[1], size[0])
        self._resize(size)

    def signal(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self.process.send_signal(number)

    def until(self, condition: Callable[[list[str]], object]) -> list[str]:
        """Wait until what is to be seen is as wanted; gives that."""
        deadline = time.monotonic() + _PATIENCE
        while not condition(lines := self.lines):
            assert self.process.poll() is None, "it ended: " + "\n".join(lines)
            assert time.monotonic() < deadline, "was never seen: " + "\n".join(lines)
            time.sleep(0.01)
        return lines

    def end(self) -> int:
        """Wait for its end, and until all that it wrote is drawn; gives its exit code."""
        code = self.process.wait(_PATIENCE)
        self._reader.join(_PATIENCE)
        return code

    def settings(self) -> list[Any]:
        """Give the terminal's settings, as they are now (`before` is as they were)."""
        return termios.tcgetattr(self._own)

    def _resize(self, size: tuple[int, int]) -> None:
        fcntl.ioctl(self._own, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def _read(self) -> None:
        with suppress(OSError):  # EIO: nobody has it open any more
            while data := os.read(self._own, 1 << 16):
                with self._lock:
                    self.written += data
                    self._stream.feed(data)

"""SIGTERM ends a server that is still starting. Import it first.

A container's first process ignores every signal it has set no handler for (pid_namespaces(7)), SIGTERM too, and the
engine would wait in vain.
"""

import os
import signal
from types import FrameType

_ENDED_BY = 128  # what a shell adds to the signal's number


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(_ENDED_BY + number)


signal.signal(signal.SIGTERM, _end)

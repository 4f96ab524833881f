"""Waiting for what the kernel or another thread does in its own time."""

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], timeout: float = 5.0) -> None:
    """Wait until something is so; it must become so in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)

"""A process of the host that is started again a second after it was killed, with all that it has started itself."""

import contextlib
import time
from collections.abc import Callable

import psutil

from scripts.benchmarks.processes import Process, trees

PAUSE = 1.0


class Supervised:
    """A process, and how it is started."""

    def __init__(self, start: Callable[[], Process]) -> None:
        self._start = start
        self.process = start()

    def kill(self) -> None:
        """Kill it, and start it again."""
        everything = trees([self.process.pid])
        for one in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.kill()
        time.sleep(PAUSE)
        self.process = self._start()

    def roll_out(self) -> bool:
        """Leave it to whoever starts and stops replicas."""
        return False

    def stop(self) -> None:
        """End it."""
        self.process.stop()

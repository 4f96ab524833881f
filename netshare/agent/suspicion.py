"""A passive sign of ill health: replicas that leave netshare's clients waiting are probed at once.

No connection decides anything by itself: clients give up, networks lose packets. It only says where to look.
"""

import logging
import time
from collections.abc import Set
from threading import Event
from typing import Protocol

from netshare.core.event import Stage, event
from netshare.core.model import Endpoint
from netshare.errors import NetshareError

_log = logging.getLogger(__name__)

_PAUSES = 200
"""For how many times as long as a look takes there is none: half a per cent of one processor is its price at most."""


class Unanswered(Protocol):
    """Connections that nobody has answered."""

    def endpoints(self) -> Set[Endpoint]:
        """Name the endpoints that have such connections now."""

    def close(self) -> None:
        """Let go of what looking needs."""


class Suspects(Protocol):
    """Whoever can look closer."""

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to probe."""

    def suspect(self, endpoints: Set[Endpoint]) -> None:
        """Probe replicas at these addresses at once."""


class Suspicion:
    """Looks every second, as long as there is anything to probe.

    A look costs the kernel a walk through its table of flows, some milliseconds on a large host: where it takes longer,
    it is done less often.
    """

    def __init__(self, unanswered: Unanswered, suspects: Suspects, *, pause: float = 1.0) -> None:
        """``pause`` is how long, in seconds, a connection is usually answered in."""
        self._unanswered = unanswered
        self._suspects = suspects
        self._pause = pause
        self._ended = Event()

    def follow(self) -> None:
        """Look until `close`."""
        said, pause = "", self._pause
        while not self._ended.wait(pause):
            if not self._suspects.is_busy:
                continue
            began = time.monotonic()
            try:
                self._suspects.suspect(self._unanswered.endpoints())
                said = ""
            except NetshareError as error:
                if error.message != said:
                    said = error.message
                    _log.warning(event(Stage.JUDGE, problem=error.message, hint=error.hint))
            pause = max(self._pause, _PAUSES * (time.monotonic() - began))
        self._unanswered.close()

    def close(self) -> None:
        """End `follow`."""
        self._ended.set()

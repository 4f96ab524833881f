"""A passive sign of ill health: replicas that leave netshare's clients waiting are probed at once.

No connection decides anything by itself: clients give up, networks lose packets. It only says where to look.
"""

import logging
from collections.abc import Set
from threading import Event
from typing import Protocol

from netshare.core.model import Endpoint
from netshare.errors import NetshareError

_log = logging.getLogger(__name__)


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
    """Looks every second, as long as there is anything to probe; once costs the kernel a walk through all flows."""

    def __init__(self, unanswered: Unanswered, suspects: Suspects, *, pause: float = 1.0) -> None:
        """``pause`` is how long, in seconds, a connection is usually answered in."""
        self._unanswered = unanswered
        self._suspects = suspects
        self._pause = pause
        self._ended = Event()

    def follow(self) -> None:
        """Look until `close`."""
        said = ""
        while not self._ended.wait(self._pause):
            if not self._suspects.is_busy:
                continue
            try:
                self._suspects.suspect(self._unanswered.endpoints())
                said = ""
            except NetshareError as error:
                if error.message != said:
                    said = error.message
                    _log.warning("judge problem=%r hint=%r", error.message, error.hint)
        self._unanswered.close()

    def close(self) -> None:
        """End `follow`."""
        self._ended.set()

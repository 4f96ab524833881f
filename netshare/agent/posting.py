"""Verdicts put up for others to read: soon after there is news, and now and then to show that they still hold."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from netshare.core.event import Stage, event
from netshare.core.health import Probe, Verdict

_log = logging.getLogger(__name__)

_COALESCE = 0.02
"""Seconds in which what comes is put up together: with thousands of verdicts, writing takes some milliseconds."""
_RENEW = 10.0
"""Seconds between renewals, so that a reader can tell how old what is up there is."""


class Board(Protocol):
    """Where verdicts are put up, and were before."""

    def publish(self, verdicts: Mapping[Probe, Verdict]) -> None:
        """Put these up in place of all others."""

    def read(self, *, renewed: bool) -> Mapping[Probe, Verdict]:
        """Read what still says something."""


class Poster:
    """Puts up what ``verdicts`` gives, from one event loop's thread; ``posted`` is what others know."""

    def __init__(self, board: Board, verdicts: Callable[[], Mapping[Probe, Verdict]]) -> None:
        """``verdicts`` are up there already as they are now."""
        self._board = board
        self._verdicts = verdicts
        self.posted = verdicts()
        self._is_up = bool(self.posted)
        self._last = -_COALESCE
        self._is_due = False
        self._said = ""
        self._afterwards: list[Callable[[], None]] = []

    def post(self) -> None:
        """Put up what is known; what can't be is said once, and tried again with the next news."""
        verdicts = self._verdicts()
        if verdicts or self._is_up:
            self._publish(verdicts)
        self.posted = verdicts
        afterwards, self._afterwards = self._afterwards, []
        for call in afterwards:
            call()

    def post_soon(self, afterwards: Callable[[], None] | None = None) -> None:
        """Put it up at once, but not over and over while there is much news; call ``afterwards`` when it is up."""
        if afterwards is not None:
            self._afterwards.append(afterwards)
        loop = asyncio.get_running_loop()
        wait = self._last + _COALESCE - loop.time()
        if wait <= 0:
            self._last = loop.time()
            self.post()
        elif not self._is_due:
            self._is_due = True
            loop.call_later(wait, self._post_late)

    async def renew(self) -> None:
        """Put it up now and then, for ever."""
        while True:
            await asyncio.sleep(_RENEW)
            self.post()

    def _post_late(self) -> None:
        self._is_due = False
        self._last = asyncio.get_running_loop().time()
        self.post()

    def _publish(self, verdicts: Mapping[Probe, Verdict]) -> None:
        try:
            self._board.publish(verdicts)
        except OSError as error:
            if self._said != str(error):
                self._said = str(error)
                problem = f"the health of replicas can't be put up for others to see: {error}"
                _log.warning(event(Stage.JUDGE, problem=problem))
        else:
            self._is_up = bool(verdicts)

"""``netshare top``."""

import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from netshare.cli import live
from netshare.cli.board import Board, Verb, Wish
from netshare.cli.options import Interval, OneName
from netshare.core import parse
from netshare.errors import NetshareError, UsageError
from netshare.runtime.capabilities import require_net_admin

if TYPE_CHECKING:
    from netshare.operations.watching import Watch

_SHOWN = 8.0
"""Seconds for which the outcome of a key is shown."""


def top(name: OneName = None, interval: Interval = None) -> None:
    """Show services and replicas live; keys sort, drain and resume."""
    checked = None if name is None else parse.service_name(name)
    seconds = live.seconds(interval)
    require_net_admin("top")
    if not (sys.stdin.isatty() and live.is_screen()):
        raise UsageError("top needs a terminal", hint="`netshare status --watch` shows the same anywhere")
    from netshare import wiring

    watching = wiring.watch(checked)
    with ThreadPoolExecutor(1) as doing:
        _Top(watching, doing, seconds).run()


class _Top:
    """The board on a terminal; what its keys ask for is done in another thread, and the view goes on."""

    def __init__(self, watching: "Watch", doing: ThreadPoolExecutor, interval: float) -> None:
        self._watching = watching
        self._doing = doing
        self._interval = interval
        self._board = Board()
        self._seen = live.Seen(watching.look(), live.now())
        self._outcome: Future[str] | None = None
        self._said = ""
        self._said_until = 0.0

    def run(self) -> None:
        """Show it until it is over."""
        from netshare.cli.board_view import view
        from netshare.cli.screen import Screen

        plain = not (sys.stdout.encoding or "").lower().startswith("utf")
        self._board.see(self._seen.look)
        with Screen() as screen:
            while not self._board.is_over:
                said = [*self._seen.messages, *filter(None, [self._told()])]
                drawn = view(self._board, self._interval, self._seen.local_time, said, screen.size, plain=plain)
                screen.show(drawn)
                pressed = screen.wait(min(self._watching.rest(self._interval), self._interval))
                for key in pressed or ():
                    self._press(key)
                if self._watching.rest(self._interval) <= 0:
                    self._seen = live.again(self._watching, self._seen)
                    self._board.see(self._seen.look)

    def _press(self, key: str) -> None:
        wish = self._board.press(key)
        if wish is None:
            return
        if self._outcome is not None and not self._outcome.done():
            self._say("what was asked for before is not done yet")
            return
        self._say(f"{wish} …")
        self._outcome = self._doing.submit(_do, wish)

    def _say(self, said: str) -> None:
        self._said, self._said_until = said, time.monotonic() + _SHOWN

    def _told(self) -> str:
        if self._outcome is not None and self._outcome.done():
            outcome, self._outcome = self._outcome, None
            self._say(outcome.result())
        return self._said if self._outcome is not None or time.monotonic() < self._said_until else ""


def _do(wish: Wish) -> str:
    """Do it, and say what came of it."""
    from netshare import wiring
    from netshare.operations.drain import drain, resume

    done = drain if wish.verb is Verb.DRAIN else resume
    try:
        outcome = done(wiring.host(), wiring.agent_control(), wish.service, [wish.word])
    except NetshareError as error:
        return f"{error.message} ({error.hint})" if error.hint else error.message
    said = "; ".join(outcome.warnings)
    what = "gets no new connections" if wish.verb is Verb.DRAIN else "gets new connections again"
    return f"{wish.replica} {what}" + (f"; {said}" if said else "")

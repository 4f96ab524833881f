"""Probes that never end: hundreds of endpoints asked side by side, in one thread, and their verdicts as hints.

An endpoint has a task of its own, so a slow one delays no other. What is found out is kept here for `reconcile`, and
put up for the verbs.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set
from threading import Lock
from typing import Protocol

from netshare.agent.inbox import Hint
from netshare.core.health import Probe, Standing, Verdict, Verdicts, after, delay
from netshare.core.judging import probes_of
from netshare.core.plan import ServiceReplicas
from netshare.health.board import boot_time
from netshare.health.probing import NotAskedError

_log = logging.getLogger(__name__)

AT_ONCE = 512
"""How many probes may be under way: each is an open file."""
_COALESCE = 0.05
_RENEW = 10.0
"""Seconds between renewals of what is put up, so that a reader can tell how old it is."""


class Board(Protocol):
    """Where verdicts are put up, and were before."""

    def publish(self, verdicts: Mapping[Probe, Verdict]) -> None:
        """Put these up in place of all others."""

    def read(self, *, renewed: bool) -> Mapping[Probe, Verdict]:
        """Read what still says something."""


class Prober:
    """Probes what `watch` says, in the thread that runs `follow`.

    Verdicts of an earlier agent are taken over where they are fresh: a restart makes no replica come or go.
    """

    def __init__(
        self,
        probe: Callable[[Probe], Awaitable[str | None]],
        tell: Callable[[Hint], None],
        board: Board,
        *,
        draw: Callable[[], float] = random.random,
        at_once: int = AT_ONCE,
    ) -> None:
        """``probe`` asks once, ``tell`` is told of every endpoint that rose or fell, ``draw`` gives 0 to 1."""
        self._probe = probe
        self._tell = tell
        self._board = board
        self._draw = draw
        self._at_once = at_once
        self._lock = Lock()
        self._verdicts = dict(board.read(renewed=False))
        self._wanted = frozenset(self._verdicts)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._is_ended = False
        self._is_up = bool(self._verdicts)
        self._put_up_at = -_COALESCE
        self._is_to_be_put_up = False
        self._said: set[str] = set()

    def verdicts(self) -> Verdicts:
        """Give what is known now."""
        with self._lock:
            return Verdicts(dict(self._verdicts), is_probed=True)

    def watch(self, services: Iterable[ServiceReplicas], kept: Set[str] = frozenset()) -> None:
        """Probe the replicas of these, and go on with those of ``kept`` services, of which nothing new is known."""
        wanted = {
            probe
            for item in services
            if item.service.health.is_probed
            for replica in item.replicas
            for probe in probes_of(item.service, replica)
        }
        with self._lock:
            wanted |= {probe for probe in self._wanted if probe.service in kept}
            if wanted == self._wanted:
                return
            self._wanted = frozenset(wanted)
            self._verdicts = {probe: verdict for probe, verdict in self._verdicts.items() if probe in wanted}
            self._wake()

    def follow(self) -> None:
        """Probe until `close`."""
        asyncio.run(self._main())

    def close(self) -> None:
        """End `follow`."""
        with self._lock:
            self._is_ended = True
            self._wake()

    def _wake(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed.set)

    async def _main(self) -> None:
        with self._lock:
            self._loop = asyncio.get_running_loop()
        places = asyncio.Semaphore(self._at_once)
        running: dict[Probe, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            renewal = group.create_task(self._renew())
            while not self._is_ended:
                with self._lock:
                    wanted, known = self._wanted, frozenset(self._verdicts)
                for probe in running.keys() - wanted:
                    running.pop(probe).cancel()
                for probe in wanted - running.keys():
                    running[probe] = group.create_task(self._repeat(probe, places, is_new=probe not in known))
                self._put_up_soon()
                await self._changed.wait()
                self._changed.clear()
            for task in (renewal, *running.values()):
                task.cancel()
        with self._lock:
            self._loop = None
        self._put_up()

    async def _repeat(self, probe: Probe, places: asyncio.Semaphore, *, is_new: bool) -> None:
        """Probe for ever: a new endpoint now, one that is known some time within an interval; then evenly."""
        loop = asyncio.get_running_loop()
        due = loop.time() if is_new else loop.time() + self._draw() * probe.check.interval
        spread = self._draw() if is_new else 1.0  # those that came together are soon apart
        while True:
            await asyncio.sleep(due - loop.time())
            async with places:
                began = loop.time()
                pause = spread * await self._ask(probe)
            due = max(began + pause, loop.time())
            spread = 1.0

    async def _ask(self, probe: Probe) -> float:
        """Probe once; gives the seconds from the beginning of this probe to that of the next."""
        try:
            failure = await self._probe(probe)
        except NotAskedError as error:
            self._say_once(f"nothing can be probed: {error}")
            return probe.check.interval
        return delay(self._note(probe, failure), probe.check, self._draw())

    def _note(self, probe: Probe, failure: str | None) -> Verdict:
        with self._lock:
            before = self._verdicts.get(probe, Verdict())
            verdict = after(before, failure, probe.check, boot_time())
            if probe not in self._wanted:
                return verdict
            self._verdicts[probe] = verdict
        if (verdict.standing, verdict.reason) != (before.standing, before.reason):
            self._put_up_soon()  # before the kernel follows: so `status` is never behind it
        if verdict.standing is not before.standing:
            fell = verdict.standing is Standing.UNHEALTHY
            level = logging.WARNING if fell else logging.INFO
            reason = f" reason={verdict.reason!r}" if fell else ""
            _log.log(
                level,
                "judge service=%s endpoint=%s standing=%s%s",
                probe.service,
                probe.endpoint,
                verdict.standing,
                reason,
            )
            self._tell(Hint(f"health of {probe.service}", time.time_ns()))
        return verdict

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW)
            self._put_up()

    def _put_up_soon(self) -> None:
        """Put up what is known: at once, but not over and over while there is much news."""
        loop = asyncio.get_running_loop()
        wait = self._put_up_at + _COALESCE - loop.time()
        if wait <= 0:
            self._put_up_at = loop.time()
            self._put_up()
        elif not self._is_to_be_put_up:
            self._is_to_be_put_up = True
            loop.call_later(wait, self._put_up_late)

    def _put_up_late(self) -> None:
        self._is_to_be_put_up = False
        self._put_up_at = asyncio.get_running_loop().time()
        self._put_up()

    def _put_up(self) -> None:
        with self._lock:
            verdicts = dict(self._verdicts)
        if not verdicts and not self._is_up:
            return
        try:
            self._board.publish(verdicts)
        except OSError as error:
            self._say_once(f"the health of replicas can't be put up for others to see: {error}")
        else:
            self._is_up = bool(verdicts)

    def _say_once(self, problem: str) -> None:
        if problem not in self._said:
            self._said.add(problem)
            _log.warning("judge problem=%r", problem)

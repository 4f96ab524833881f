"""Probes that never end: hundreds of endpoints asked side by side, in one thread, and their verdicts as hints.

An endpoint has a task of its own, so a slow one delays no other. What is found out is kept here for `reconcile`, and
put up for the verbs.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Set
from threading import Lock

from netshare.agent.inbox import Hint
from netshare.agent.posting import Board, Poster
from netshare.core.event import Stage, event
from netshare.core.health import Probe, Standing, Verdict, Verdicts, after, delay, is_settled
from netshare.core.judging import probes_of
from netshare.core.model import Endpoint, IPAddress
from netshare.core.plan import ServiceReplicas
from netshare.health.probing import NotAskedError
from netshare.runtime.boot import boot_time

_log = logging.getLogger(__name__)

AT_ONCE = 512
"""How many probes may be under way: each is an open file."""


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
        self._draw = draw
        self._at_once = at_once
        self._lock = Lock()
        self._verdicts = dict(board.read(renewed=False))
        self._wanted = frozenset(self._verdicts)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._is_ended = False
        self._poster = Poster(board, self._known)
        self._said: set[str] = set()
        self._asleep: dict[Probe, asyncio.Future[None]] = {}
        self._suspected: set[Probe] = set()

    def verdicts(self) -> Verdicts:
        """Give what is known now, as far as others know it too: the kernel is never ahead of what `status` sees."""
        return Verdicts(self._poster.posted, is_probed=True)

    def watch(self, services: Iterable[ServiceReplicas], kept: Set[str] = frozenset()) -> None:
        """Probe the replicas of these, and go on with those of ``kept`` services, of which nothing new is known."""
        wanted = {probe for item in services for replica in item.replicas for probe in probes_of(item.service, replica)}
        with self._lock:
            wanted |= {probe for probe in self._wanted if probe.service in kept}
            if wanted == self._wanted:
                return
            self._wanted = frozenset(wanted)
            self._verdicts = {probe: verdict for probe, verdict in self._verdicts.items() if probe in wanted}
            self._poster.posted = {probe: known for probe, known in self._poster.posted.items() if probe in wanted}
            self._wake()

    def suspect(self, endpoints: Set[Endpoint]) -> None:
        """Probe replicas at these addresses at once: clients wait for them in vain."""
        addresses = {endpoint.address for endpoint in endpoints}
        with self._lock:
            if self._loop is not None and addresses:
                self._loop.call_soon_threadsafe(self._hurry, addresses)

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to probe, again and again."""
        return any(probe.check.is_probed for probe in self._wanted)

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
            renewal = group.create_task(self._poster.renew())
            while not self._is_ended:
                with self._lock:
                    wanted, known = self._wanted, frozenset(self._verdicts)
                    settled = {each for each, verdict in self._verdicts.items() if is_settled(verdict, each.check)}
                running = {probe: task for probe, task in running.items() if not task.done()}
                for probe in running.keys() - wanted:
                    running.pop(probe).cancel()
                    self._suspected.discard(probe)
                for probe in wanted - running.keys() - settled:
                    running[probe] = group.create_task(self._repeat(probe, places, is_new=probe not in known))
                self._poster.post_soon()
                await self._changed.wait()
                self._changed.clear()
            for task in (renewal, *running.values()):
                task.cancel()
        with self._lock:
            self._loop = None
        self._poster.post()

    async def _repeat(self, probe: Probe, places: asyncio.Semaphore, *, is_new: bool) -> None:
        """Probe as long as it may bring news: a new endpoint now, one that is known some time within an interval."""
        loop = asyncio.get_running_loop()
        is_waited_for = is_new or not probe.check.is_probed
        due = loop.time() if is_waited_for else loop.time() + self._draw() * probe.check.interval
        spread = self._draw() if is_new else 1.0  # those that came together are soon apart
        while not is_settled(self._verdicts.get(probe, Verdict()), probe.check):
            await self._sleep_until(due, probe)
            async with places:
                began = loop.time()
                pause = spread * await self._ask(probe)
            due = max(began + pause, loop.time())
            spread = 1.0

    async def _sleep_until(self, due: float, probe: Probe) -> None:
        loop = asyncio.get_running_loop()
        self._asleep[probe] = waking = loop.create_future()
        timer = loop.call_at(due, _wake_up, waking)
        try:
            await waking
        finally:
            timer.cancel()
            if self._asleep.get(probe) is waking:
                del self._asleep[probe]

    def _hurry(self, addresses: Set[IPAddress]) -> None:
        """Wake the probes of these addresses that thought all was well."""
        for probe in [each for each in self._asleep if each.endpoint.address in addresses]:
            verdict = self._verdicts.get(probe, Verdict())
            if verdict.standing is not Standing.UNHEALTHY and not verdict.failed:
                self._suspected.add(probe)
                _wake_up(self._asleep[probe])

    async def _ask(self, probe: Probe) -> float:
        """Probe once; gives the seconds from the beginning of this probe to that of the next."""
        try:
            failure = await self._probe(probe)
        except NotAskedError as error:
            self._say_once(f"nothing can be probed: {error}")
            if probe.check.is_probed:
                return probe.check.interval
            failure = str(error)  # it is not kept back for longer than others
        verdict = self._note(probe, failure)
        pause = delay(verdict, probe.check, self._draw(), suspected=probe in self._suspected)
        if not verdict.failed:
            self._suspected.discard(probe)
        return pause

    def _note(self, probe: Probe, failure: str | None) -> Verdict:
        with self._lock:
            before = self._verdicts.get(probe, Verdict())
            verdict = after(before, failure, probe.check, boot_time())
            if probe not in self._wanted:
                return verdict
            self._verdicts[probe] = verdict
        if verdict.standing is not before.standing:
            self._report(probe, verdict)
        elif verdict.reason != before.reason:
            self._poster.post_soon()
        return verdict

    def _report(self, probe: Probe, verdict: Verdict) -> None:
        told = event(
            Stage.JUDGE,
            service=probe.service,
            endpoint=str(probe.endpoint),
            standing=verdict.standing,
            reason=verdict.reason,
        )
        _log.log(logging.INFO if verdict.reason is None else logging.WARNING, told)
        hint = Hint(f"health of {probe.service}", time.time_ns())
        self._poster.post_soon(lambda: self._tell(hint))

    def _known(self) -> dict[Probe, Verdict]:
        with self._lock:
            return dict(self._verdicts)

    def _say_once(self, problem: str) -> None:
        if problem not in self._said:
            self._said.add(problem)
            _log.warning(event(Stage.JUDGE, problem=problem))


def _wake_up(waking: "asyncio.Future[None]") -> None:
    if not waking.done():
        waking.set_result(None)

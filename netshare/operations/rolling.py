"""Whoever drives a rollout: does what comes next, notes it, and looks again, until there is nothing left to do.

What is to come next is for `netshare.core.rollout` to say, from what is noted. So it may be ended at any moment, and
another process goes on. Others change what is noted too: ``--promote`` and ``--abort``, said elsewhere, are heeded
wherever this waits.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from netshare.core import rollout as record
from netshare.core.rollout import Direction, Do, Maker, Member, Pair, Rollout, Stage, placed
from netshare.errors import NetshareError, WaitTimeoutError
from netshare.known import list_containers
from netshare.operations import making, rolling_back, rollout
from netshare.operations.making import UnfitError
from netshare.operations.rollout import Outcome, Request, Rolled, Tools
from netshare.operations.rollout_ground import INTERVAL, Ground, TurnedError

_SERVING = (Stage.TRIED, Stage.SHIFTED, Stage.STOPPED)
Action = Callable[[Ground, Rollout, Sequence[Pair]], None]


def begin(tools: Tools, request: Request) -> Rolled:
    """Roll a service out, from the beginning to the end.

    Raises:
        NetshareError: it can't be begun, or has been taken back, or can't go on now; see `drive`.

    """
    with _claimed(tools, request.service):
        there = rollout.begun(tools, request)
        options, total = there.options, len(there.pairs)
        made = " by Compose" if there.maker is Maker.COMPOSE else f" from {there.image}" if there.image else ""
        tools.tell.said(f"replacing {total} replicas{made}, {options.batch} at a time, {options.surge} more at most")
        return drive(tools, request.service)


def resume(tools: Tools, name: str) -> Rolled:
    """Go on with a rollout that nobody drives."""
    with _claimed(tools, name):
        tools.tell.said(f"going on: {rollout.stands(rollout.unfinished(tools, name))}")
        return drive(tools, name)


def promote(tools: Tools, name: str) -> Rolled:
    """Let a rollout go on that has paused, and see how it ends."""
    return _followed(tools, rollout.promoted(tools, name))


def abort(tools: Tools, name: str) -> Rolled:
    """Take a rollout back, and see how it ends."""
    return _followed(tools, rollout.aborted(tools, name))


@contextmanager
def _claimed(tools: Tools, name: str) -> Iterator[None]:
    with tools.claim(name) as is_mine:
        if not is_mine:
            there = tools.host.rollouts.get(name)
            raise NetshareError(
                f"a rollout of {name} is under way{f': {rollout.stands(there)}' if there else ''}",
                hint=f"wait for its end, or take it back: netshare rollout {name} --abort",
            )
        yield


def _followed(tools: Tools, noted: Rollout) -> Rolled:
    """Drive a rollout if nobody does, else wait for whoever does."""
    began = tools.clock.monotonic()
    while True:
        with tools.claim(noted.service) as is_mine:
            if is_mine and tools.host.rollouts.get(noted.service) is not None:
                return drive(tools, noted.service)
            if is_mine:
                there = {each.id for each in list_containers(tools.host.engines).containers}
                is_back = any(pair.old.id in there for pair in noted.pairs)
                outcome = Outcome.TAKEN_BACK if is_back else Outcome.COMPLETED
                return Rolled(noted.service, outcome, noted.pairs, tools.clock.monotonic() - began)
        tools.tell.waits("whoever drives it goes on with it")
        tools.clock.sleep(INTERVAL)


def drive(tools: Tools, name: str) -> Rolled:
    """Go on with a rollout until it is over. The caller has its claim.

    Raises:
        NetshareError: it was taken back, as a new replica was not fit; or it can't go on now, and stays as it is.

    """
    began, ground = tools.clock.monotonic(), Ground(tools, name)
    ground.converge()
    while True:
        now = ground.now()
        step = record.next_step(now)
        if step.do is Do.CLOSE:
            return _close(ground, now, began)
        try:
            _ACTIONS[step.do](ground, now, step.pairs)
        except TurnedError:
            continue
        except UnfitError as error:
            turn_back(ground, str(error), timed_out=error.timed_out)


def turn_back(ground: Ground, why: str, *, timed_out: bool = False) -> None:
    """Note that it is to be taken back."""
    ground.tools.tell.said(f"taking it back: {why}")
    ground.note(lambda there: record.aborted(there, why, timed_out=timed_out), lift=True)


def _make(ground: Ground, now: Rollout, pairs: Sequence[Pair]) -> None:
    making.make(ground.tools, now, pairs, ground.note)


def _try(ground: Ground, now: Rollout, pairs: Sequence[Pair]) -> None:
    """Once the new ones are fit, give them their share."""
    _await_fit(ground, now, pairs)
    ground.decide(now, lambda there: record.tried(there, pairs))
    ground.converge()
    ground.require_served(pairs)
    ground.tools.tell.said(f"canary: {_news(pairs)}, {now.options.canary} % of the new connections")


def _shift(ground: Ground, now: Rollout, pairs: Sequence[Pair]) -> None:
    """Once the new ones are fit, let them take over, in one transaction."""
    _await_fit(ground, now, pairs)
    service, replicas = ground.look()
    drains = ground.drains(now, service, replicas, [pair.old.id for pair in pairs])
    ground.decide(now, lambda there: record.shifted(there, pairs), drains)
    ground.converge()
    ground.require_served(pairs)
    ground.tools.tell.said(f"shifted: {_news(pairs)} in, {', '.join(pair.old.name for pair in pairs)} out")


def _await_fit(ground: Ground, now: Rollout, pairs: Sequence[Pair]) -> None:
    clock, readiness = ground.tools.clock, ground.readiness()
    began, timeout = clock.monotonic(), now.options.timeout
    while True:
        service, replicas = ground.look()
        ground.require_alive(pairs, replicas)
        wanted = {pair.new.id: pair.new.name for pair in pairs if pair.new is not None}
        lacks = readiness.missing(service, [replicas[each] for each in wanted], clock.monotonic())
        if not lacks:
            return
        seconds = clock.monotonic() - began
        why = "; ".join(f"{wanted[identity]}: {lack}" for identity, lack in lacks.items())
        if seconds >= timeout:
            raise UnfitError(f"not well within {timeout:g} s: {why}", timed_out=True)
        ground.tools.tell.waits(why, f"{seconds:.0f} of {timeout:g} s")
        ground.sleep(now, min(INTERVAL, timeout - seconds))


def _pause(ground: Ground, now: Rollout, _: Sequence[Pair]) -> None:
    """Stay as it is until the pause is over, as long as the new ones are fit."""
    tools, name = ground.tools, ground.name
    began, pause = tools.clock.monotonic(), math.inf if now.options.pause is None else now.options.pause
    ask = f"`netshare rollout {name} --promote` goes on, `netshare rollout {name} --abort` takes it back"
    while (left := pause - (tools.clock.monotonic() - began)) > 0:
        ground.require_fit(now.at(*_SERVING), ground.look()[1])
        tools.tell.waits(f"{rollout.stands(now)}; {ask}", "" if math.isinf(left) else f"{left:.0f} s to go")
        ground.sleep(now, min(INTERVAL, left))
    ground.decide(now, record.promoted)


def _retire(ground: Ground, now: Rollout, pairs: Sequence[Pair]) -> None:
    """Wait until the old ones have drained, and stop them, all at once, if the new ones are still fit.

    What is open beyond the drain's deadline is theirs to end: a stop signal lets a server answer what it was asked.
    """
    service, replicas = ground.look()
    ground.drain(now, ground.drains(now, service, replicas, [pair.old.id for pair in pairs]))
    ground.require_fit(now.at(*_SERVING), ground.look()[1])
    ground.require_served(now.at(*_SERVING))
    _stop(ground, pairs)
    for pair in pairs:
        ground.note(placed(pair.old.id, Stage.STOPPED))


def _stop(ground: Ground, pairs: Sequence[Pair]) -> None:
    engines = ground.tools.engines
    looked = [(pair.old, engines[pair.old.engine].look(pair.old.id)) for pair in pairs]
    # One that removes itself goes on until there is no way back.
    meant = [old for old, found in looked if found is not None and not found.removes_itself]
    if meant:
        ground.tools.tell.waits(f"stopping {', '.join(old.name for old in meant)}")
        with ThreadPoolExecutor(len(meant)) as threads:
            stops = [(old, threads.submit(engines[old.engine].stop, old.id)) for old in meant]
        for old, stop in stops:
            stop.result()
            ground.tools.tell.said(f"{old.name} stopped")


def _commit(ground: Ground, now: Rollout, _: Sequence[Pair]) -> None:
    ground.require_fit(now.pairs, ground.look()[1])
    ground.require_served(now.pairs)
    ground.decide(now, record.committed)


def _replace(ground: Ground, now: Rollout, pairs: Sequence[Pair]) -> None:
    """Remove old ones; the new ones take their names, unless they are named by Compose."""
    for pair in pairs:
        ground.tools.engines[pair.old.engine].remove(pair.old.id, with_volumes=False)
        new = pair.new
        if new is not None and now.maker is Maker.CONTAINER:
            new = replace(new, name=_renamed(ground, pair.old, new))
        elif new is not None and pair.weight is not None:
            _hand_on_weight(ground, pair.old.name, new.name)
        done = replace(pair, new=new, stage=Stage.REPLACED)
        ground.note(partial(Rollout.with_pair, done=done))
        ground.tools.tell.said(_became(pair.old, new))


def _became(old: Member, new: Member | None) -> str:
    if new is None:
        return f"{old.name} removed"
    return f"{old.name} is a new one now" if new.name == old.name else f"{old.name} removed, {new.name} has its place"


def _renamed(ground: Ground, old: Member, new: Member) -> str:
    """Give the new one the old one's name; where somebody else has taken it meanwhile, it is theirs."""
    engine = ground.tools.engines[old.engine]
    found = engine.look(new.id)
    if found is None or found.name == old.name:
        return old.name
    try:
        engine.rename(new.id, old.name)
    except NetshareError as error:
        ground.tools.tell.said(f"{found.name} keeps that name: {error.message}")
        return found.name
    return old.name


def _hand_on_weight(ground: Ground, old: str, new: str) -> None:
    """Have what was said by hand of an old one's weight said of the new one, which has a name of its own."""
    host = ground.tools.host
    with host.lock():
        service = host.store.load().get(ground.name)
        if service is not None and old in dict(service.weights):
            weights = {new if name == old else name: weight for name, weight in service.weights}
            host.store.save(replace(service, weights=tuple(sorted(weights.items()))))


def _close(ground: Ground, now: Rollout, began: float) -> Rolled:
    tools = ground.tools
    with tools.host.lock():
        tools.host.rollouts.delete(ground.name)
    ground.converge()
    if now.failure is not None:
        kind = WaitTimeoutError if now.timed_out else NetshareError
        raise kind(
            f"the rollout of {ground.name} was taken back: {now.failure}",
            hint="the old replicas serve as before; none of the new ones is left",
        )
    outcome = Outcome.COMPLETED if now.direction is Direction.FINISHING else Outcome.TAKEN_BACK
    return Rolled(ground.name, outcome, now.pairs, tools.clock.monotonic() - began)


def _news(pairs: Sequence[Pair]) -> str:
    return ", ".join(pair.new.name for pair in pairs if pair.new is not None)


_ACTIONS: Mapping[Do, Action] = MappingProxyType(
    {
        Do.MAKE: _make,
        Do.TRY: _try,
        Do.SHIFT: _shift,
        Do.PAUSE: _pause,
        Do.RETIRE: _retire,
        Do.COMMIT: _commit,
        Do.REPLACE: _replace,
        Do.RETURN: rolling_back.return_,
        Do.DISCARD: rolling_back.discard,
    }
)

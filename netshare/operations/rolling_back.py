"""A rollout taken back: the old replicas run again, take over again, and the new ones are drained and removed."""

from collections.abc import Sequence

from netshare.core.rollout import Pair, Rollout, Stage
from netshare.errors import NotFoundError, WaitTimeoutError
from netshare.operations import making
from netshare.operations.rollout_ground import INTERVAL, Ground


def return_(ground: Ground, now: Rollout, pairs: Sequence[Pair]) -> None:
    """Start the old ones that were stopped, wait until they are fit, then let them take over, in one transaction."""
    ground.note(lambda there: there, lift=True)
    taken_over = [pair for pair in pairs if pair.stage is not Stage.TRIED]
    for pair in taken_over:
        ground.tools.engines[pair.old.engine].start(pair.old.id)
    drains = []
    try:
        _await(ground, now, taken_over)
        service, replicas = ground.look()
        drains = ground.drains(now, service, replicas, [pair.new.id for pair in pairs if pair.new is not None])
    except NotFoundError:
        ground.tools.tell.said(f"{ground.name} was detached: nobody is served")
    ground.note(lambda there: there.moved_to(pairs, Stage.RETURNED), drains, lift=True)
    ground.converge()
    ground.tools.tell.said(f"shifted back to {', '.join(pair.old.name for pair in pairs)}")


def discard(ground: Ground, now: Rollout, pairs: Sequence[Pair]) -> None:
    """Wait until new ones that were given connections have drained, then remove them all."""
    if any(pair.stage is Stage.RETURNED for pair in pairs):
        try:
            service, replicas = ground.look()
            ids = [pair.new.id for pair in pairs if pair.new is not None]
            ground.drain(now, ground.drains(now, service, replicas, ids))
        except NotFoundError:
            ground.tools.tell.said(f"{ground.name} was detached: nothing is waited for")
    making.discard(ground.tools, now, pairs, ground.note)


def _await(ground: Ground, now: Rollout, pairs: Sequence[Pair]) -> None:
    """Wait until old replicas are fit; they may have been started a moment ago."""
    clock, readiness = ground.tools.clock, ground.readiness()
    began, timeout = clock.monotonic(), now.options.timeout
    while pairs:
        service, replicas = ground.look()
        there = [replicas[pair.old.id] for pair in pairs if pair.old.id in replicas]
        missing = readiness.missing(service, there, clock.monotonic())
        missing |= {pair.old.id: "it is gone" for pair in pairs if pair.old.id not in replicas}
        if not missing:
            return
        seconds = clock.monotonic() - began
        why = "; ".join(f"{pair.old.name}: {missing[pair.old.id]}" for pair in pairs if pair.old.id in missing)
        if seconds >= timeout:
            raise WaitTimeoutError(
                f"{ground.name} can't be taken back: the old replicas are not well after {timeout:g} s: {why}",
                hint=f"the new ones go on serving; once the old ones run: netshare rollout {ground.name} --abort",
            )
        ground.tools.tell.waits(f"waiting for the old ones: {why}", f"{seconds:.0f} of {timeout:g} s")
        clock.sleep(min(INTERVAL, timeout - seconds))

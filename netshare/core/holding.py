"""What a rollout leaves each replica of its service: who may be given connections, who waits, and with what weight.

Pure. It comes in twice: before health is looked at it takes those out that have been replaced, and afterwards it keeps
those back whose batch has not come. They are judged apart from those that serve, or a new one that is well would keep
unhealthy old ones from being served for want of others (fail open), and then be held itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from netshare.core import canary
from netshare.core.model import FailMode, Replica, ReplicaState, Service
from netshare.core.rollout import Part, Rollout, Stage, others, parts

HELD = "rollout: waiting for its batch"
RETIRED = "rollout: another has taken its place"
Judge = Callable[[Service, Sequence[Replica]], Sequence[Replica]]


def judged(rollout: Rollout | None, service: Service, replicas: Sequence[Replica], judge: Judge) -> Sequence[Replica]:
    """Judge a service's replicas by their health, with regard to its rollout if there is one.

    Where none of those that should serve is left, the others do: better a new one that is well than nobody.
    """
    if rollout is None:
        return judge(service, replicas)
    known, unknown = parts(rollout), others(rollout)
    weights = {pair.new.id: pair.weight for pair in rollout.pairs if pair.new and pair.weight is not None}
    cast = [_cast(each, known.get(each.id, unknown), weights.get(each.id)) for each in replicas]
    is_held = [known.get(each.id, unknown) is Part.HELD for each in replicas]
    serving = iter(judge(service, [each for each, held in zip(cast, is_held, strict=True) if not held]))
    closed = replace(service, fail=FailMode.CLOSED)  # among themselves, they would be served for want of others
    waiting = iter(judge(closed, [each for each, held in zip(cast, is_held, strict=True) if held]))
    apart = [next(waiting) if held else next(serving) for held in is_held]
    if not any(_serves(each) for each, held in zip(apart, is_held, strict=True) if not held):
        return judge(service, cast)
    return _weighted(rollout, [_held(each) if held else each for each, held in zip(apart, is_held, strict=True)])


def _cast(replica: Replica, part: Part, weight: int | None) -> Replica:
    if weight is not None:
        replica = replace(replica, weight=weight)
    if part is not Part.RETIRED or replica.state in (ReplicaState.GONE, ReplicaState.DRAINING):
        return replica
    return replace(replica, state=ReplicaState.DRAINING, reason=RETIRED)


def _serves(replica: Replica) -> bool:
    return any(map(replica.offers, replica.endpoints))


def _held(replica: Replica) -> Replica:
    """Keep a replica back; what is wrong with it, if anything is, stays to be seen."""
    if replica.state is ReplicaState.READY:
        return replace(replica, state=ReplicaState.STARTING, reason=HELD, is_held=True)
    return replace(replica, offered={})


def _weighted(rollout: Rollout, replicas: Sequence[Replica]) -> Sequence[Replica]:
    """Give a canary its share."""
    percent, tried = rollout.options.canary, {pair.new.id for pair in rollout.at(Stage.TRIED) if pair.new}
    if not percent or not tried or rollout.is_tried:
        return replicas
    serving = {each.id: each.weight for each in replicas if _serves(each)}
    olds = {identity: weight for identity, weight in serving.items() if identity not in tried}
    new = {identity: weight for identity, weight in serving.items() if identity in tried}
    shares = canary.weights(olds, new, percent)
    return [replace(each, weight=shares.get(each.id, each.weight)) for each in replicas]

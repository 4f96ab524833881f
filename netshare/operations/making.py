"""New replicas made, and unmade: by netshare, each as its old one was made, or by Compose.

Each step is noted before anybody could miss it: a name before a container has it, an id before the container is
started. So what an interruption leaves behind is known, and never mistaken for somebody else's.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from netshare.core import compose
from netshare.core.compose import ComposeService
from netshare.core.model import Container
from netshare.core.rollout import Maker, Member, Pair, Rollout, Stage
from netshare.errors import EngineUnreachableError, NetshareError, NotPermittedError
from netshare.known import list_containers
from netshare.operations.rollout import Tools
from netshare.operations.rollout_names import beside

Note = Callable[[Callable[[Rollout], Rollout]], Rollout]
_OUTSIDE = (EngineUnreachableError, NotPermittedError)
"""Errors that say nothing about new replicas: whoever drives the rollout comes back later."""


class UnfitError(Exception):
    """A new replica is of no use, and so the rollout is to be taken back; the message says why."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


def make(tools: Tools, rollout: Rollout, pairs: Sequence[Pair], note: Note) -> None:
    """Make and start the new replicas of these pairs.

    Raises:
        UnfitError: it can't be done.

    """
    try:
        if rollout.maker is Maker.COMPOSE:
            _compose(tools, rollout, note)
        else:
            for pair in pairs:
                _container(tools, rollout, pair, note)
    except _OUTSIDE:
        raise
    except NetshareError as error:
        raise UnfitError(f"{error.message} ({error.hint})" if error.hint else error.message) from error


def discard(tools: Tools, rollout: Rollout, pairs: Iterable[Pair], note: Note) -> None:
    """Remove the new replicas of these pairs, with the volumes that nobody has named."""
    if rollout.maker is Maker.COMPOSE:
        _adopt(tools, rollout, note)
    for each in pairs:
        pair = note(_as_it_is).pair(each.old.id)
        if pair.new is not None:
            engine = tools.engines[pair.new.engine]
            if pair.new.id:
                engine.remove(pair.new.id, with_volumes=True)
            elif (found := engine.look(pair.new.name)) is not None and found.is_new:
                engine.remove(found.id, with_volumes=True)
            tools.tell.said(f"{pair.new.name} removed")
        _set(note, replace(pair, new=None, stage=Stage.OLD))


def _container(tools: Tools, rollout: Rollout, pair: Pair, note: Note) -> None:
    engine = tools.engines[pair.old.engine]
    if pair.new is not None and not pair.new.id and (found := engine.look(pair.new.name)) is not None:
        if found.is_new:  # made by whoever drove this before, and not noted any more
            engine.remove(found.id, with_volumes=True)
        else:
            pair = replace(pair, new=None)
    if pair.new is None:
        pair = replace(pair, new=Member("", _free_name(tools, rollout, pair), pair.old.engine), stage=Stage.MAKING)
        _set(note, pair)
    if pair.new is not None and not pair.new.id:
        identity = engine.make(pair.old.id, rollout.image, pair.new.name)
        pair = replace(pair, new=replace(pair.new, id=identity))
        _set(note, pair)
    if pair.new is not None:
        engine.start(pair.new.id)
        _set(note, replace(pair, stage=Stage.MADE))
        tools.tell.said(f"{pair.new.name} started, to replace {pair.old.name}")


def _free_name(tools: Tools, rollout: Rollout, pair: Pair) -> str:
    containers = list_containers(tools.host.engines).containers
    noted = {each.new.name for each in rollout.pairs if each.new is not None}
    return beside(pair.old.name, noted | {each.name for each in containers})


def _compose(tools: Tools, rollout: Rollout, note: Note) -> None:
    total = len(rollout.pairs)
    note(lambda now: now.moved_to(now.at(Stage.OLD), Stage.MAKING))
    service, engine = _compose_service(tools, rollout)
    tools.tell.waits(f"Compose makes {total} new replicas of {service.name}")
    tools.composer.scale(service, 2 * total, tools.engines[engine].address)
    made = [pair.new.name for pair in _adopt(tools, rollout, note) if pair.new is not None]
    if len(made) < total:
        raise NetshareError(
            f"Compose made {len(made)} new replicas of {service.name} in place of {total}",
            hint="a service that is to have replicas side by side has neither `container_name` nor `ports`",
        )
    note(lambda now: now.moved_to(now.at(Stage.MAKING), Stage.MADE))
    tools.tell.said(f"{', '.join(made)} made by Compose")


def _adopt(tools: Tools, rollout: Rollout, note: Note) -> tuple[Pair, ...]:
    """Note the containers that Compose has made, each with the old one of its place in the order of numbers."""
    service, engine = _compose_service(tools, rollout)
    everything = [each for each in _containers(tools, rollout) if each.engine == engine and service.has(each)]
    known = {pair.new.id for pair in rollout.pairs if pair.new is not None}
    news = [each for each in everything if each.id not in rollout.old_ids and each.id not in known]
    members = iter(Member(each.id, each.name, each.engine) for each in sorted(news, key=compose.number))

    def adopted(now: Rollout) -> Rollout:
        pairs = tuple(
            replace(p, new=p.new or (next(members, None) if p.stage is Stage.MAKING else None)) for p in now.pairs
        )
        return replace(now, pairs=pairs)

    return note(adopted).pairs


def _compose_service(tools: Tools, rollout: Rollout) -> tuple[ComposeService, str]:
    old = next((each for each in _containers(tools, rollout) if each.id in rollout.old_ids), None)
    if old is None:
        raise NetshareError(
            f"the old replicas of {rollout.service} are gone, and what Compose needs is on them",
            hint=f"bring the service up by Compose; then: netshare rollout {rollout.service} --abort",
        )
    return compose.service_of(old), old.engine


def _containers(tools: Tools, rollout: Rollout) -> Sequence[Container]:
    """List the containers of the engine that has the old replicas; whether another one answers does not matter."""
    listed = list_containers(tools.host.engines)
    for name in listed.silent.keys() & {pair.old.engine for pair in rollout.pairs}:
        raise listed.silent[name]
    return listed.containers


def _set(note: Note, pair: Pair) -> None:
    note(lambda now: now.with_pair(pair))


def _as_it_is(now: Rollout) -> Rollout:
    return now

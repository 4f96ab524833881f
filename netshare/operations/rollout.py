"""``rollout``: what is asked of it, what it needs, and how one is begun; `netshare.operations.rolling` drives it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from netshare.core import compose
from netshare.core import rollout as record
from netshare.core.compose import ComposeService
from netshare.core.health import Probe
from netshare.core.model import Container, Replica, ReplicaState, Service
from netshare.core.parse import shown
from netshare.core.rollout import Direction, Maker, Member, Options, Pair, Rollout
from netshare.engine.replacing import ReplacingEngine
from netshare.errors import NetshareError, NotFoundError, UsageError
from netshare.host import Host
from netshare.operations.control import AgentControl, Clock
from netshare.operations.draining import Connections
from netshare.operations.replica import judged_of
from netshare.operations.rollout_names import natural
from netshare.reconcile import prepare

_SYSTEMD_UNIT = "PODMAN_SYSTEMD_UNIT"
"""A label of containers that a unit of systemd starts, by quadlet or by `podman generate systemd` (podman-run(1))."""
_ABOUT_TO_GO_ON = "`netshare rollout {name} --resume` goes on with it, `netshare rollout {name} --abort` takes it back"


class Composer(Protocol):
    """What makes new replicas of a Compose service."""

    def check(self, service: ComposeService) -> None:
        """See that it can be run for a service."""

    def scale(self, service: ComposeService, replicas: int, address: str) -> None:
        """Have so many replicas of a service; those that are there stay."""


class Telling(Protocol):
    """Whoever is told how it goes."""

    def said(self, what: str) -> None:
        """Something was done."""

    def waits(self, what: str, detail: str = "") -> None:
        """Something is waited for; ``detail`` changes from moment to moment."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How a rollout goes: something was done, or, where it ``is_waiting``, what is waited for just now.

    ``detail`` changes from moment to moment, as in ``"3 of 120 s"``.
    """

    what: str
    is_waiting: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Tools:
    """All that a rollout needs of this machine; ``claim`` makes this process the one that drives a service's."""

    host: Host
    agent: AgentControl
    engines: Mapping[str, ReplacingEngine]
    composer: Composer
    connections: Connections
    probe: Callable[[Sequence[Probe]], Mapping[Probe, str | None]]
    claim: Callable[[str], AbstractContextManager[bool]]
    clock: Clock
    tell: Telling


@dataclass(frozen=True, slots=True)
class Request:
    """The words of a ``rollout``; what was not said is ``None``."""

    service: str
    image: str | None = None
    batch: int | None = None
    surge: int | None = None
    timeout: float = 120.0
    drain: float | None = None
    canary: int | None = None
    pause: float | None = None


class Outcome(StrEnum):
    """How a rollout ended."""

    COMPLETED = "completed"
    TAKEN_BACK = "taken-back"


@dataclass(frozen=True, slots=True)
class Rolled:
    """A rollout that has ended; ``pairs`` are those of its record, with the names that they ended with."""

    service: str
    outcome: Outcome
    pairs: tuple[Pair, ...]
    seconds: float
    warnings: tuple[str, ...] = ()


def begun(tools: Tools, request: Request) -> Rollout:
    """Check that a service can be rolled out, and write down how. The caller has its claim.

    Raises:
        NotFoundError: there is no such service, or no such image.
        UsageError: the words contradict each other, or what the service is.
        NetshareError: there is an unfinished rollout, or a replica can't have a second one beside it.

    """
    host, name = tools.host, request.service
    with host.lock():
        there = host.rollouts.get(name)
        if there is not None:
            raise NetshareError(
                f"a rollout of {name} is unfinished: {stands(there)}", hint=_ABOUT_TO_GO_ON.format(name=name)
            )
        definitions = host.store.load()
        prepared = prepare(host, definitions)
        service, replicas = judged_of(prepared, definitions, name)
        if service.is_static:
            raise UsageError(
                f"the replicas of {name} are listed by their addresses: netshare can't start new ones",
                hint=f"start them yourself, add them by `netshare attach {name} PORT --endpoint …`, drain the old ones",
            )
        olds = sorted(
            (each for each in replicas if each.state is not ReplicaState.GONE), key=lambda each: natural(each.name)
        )
        if not olds:
            raise NetshareError(f"no replica of {name} runs: there is nothing to replace", hint="start the new ones")
        containers = {(each.engine, each.id): each for each in prepared.containers}
        maker = _maker(tools, request, [containers[each.engine, each.id] for each in olds], prepared.containers)
        planned = Rollout(name, maker, _options(request, len(olds), maker), _pairs(service, olds), request.image)
        host.rollouts.save(planned)
    return planned


def unfinished(tools: Tools, name: str) -> Rollout:
    """Give a service's unfinished rollout.

    Raises:
        NotFoundError: there is none.

    """
    found = tools.host.rollouts.get(name)
    if found is None:
        raise NotFoundError(f"there is no unfinished rollout of {name}", hint=f"`netshare rollout {name}` begins one")
    return found


def promoted(tools: Tools, name: str) -> Rollout:
    """Note that a rollout may go on where it has paused."""
    with tools.host.lock():
        after = record.promoted(unfinished(tools, name))
        tools.host.rollouts.save(after)
    return after


def aborted(tools: Tools, name: str) -> Rollout:
    """Note that a rollout is to be taken back.

    Raises:
        NetshareError: there is no way back any more.

    """
    host = tools.host
    with host.lock():
        before = unfinished(tools, name)
        if before.direction is Direction.FINISHING:
            raise NetshareError(
                f"the rollout of {name} can't be taken back any more: {stands(before)}",
                hint=f"`netshare rollout {name} --resume` brings it to its end; roll out the image of before to return",
            )
        lift_drains(host, before)
        after = record.aborted(before)
        host.rollouts.save(after)
    return after


def lift_drains(host: Host, there: Rollout) -> None:
    """Let no old replica drain any more: one that drains is given nothing, whatever else is noted of it."""
    olds, drains = {(there.service, identity) for identity in there.old_ids}, tuple(host.drains.load())
    left = [each for each in drains if each.key not in olds]
    if len(left) < len(drains):
        host.drains.save(left)


def stands(there: Rollout) -> str:
    """Say in a few words how a rollout stands."""
    replaced = len(there.at(record.Stage.SHIFTED, record.Stage.STOPPED, record.Stage.REPLACED))
    total = len(there.pairs)
    match there.direction:
        case Direction.BACK:
            return f"it is being taken back, with {replaced} of {total} replicas still to return"
        case Direction.FINISHING:
            return f"all {total} replicas are new, and the old ones are being removed"
        case Direction.FORWARD:
            tried = len(there.at(record.Stage.TRIED))
            canary = f", {tried} on trial" if tried else ""
            return f"{'paused, ' if there.is_paused else ''}{replaced} of {total} replicas are new{canary}"


def _maker(tools: Tools, request: Request, olds: Sequence[Container], everything: Sequence[Container]) -> Maker:
    """Find out who is to make the new ones, and whether that can be done."""
    _require_no_unit(request, olds)
    composed = [container for container in olds if compose.is_composed(container)]
    if not composed:
        for container in olds:
            tools.engines[container.engine].check(container.id, request.image)
        return Maker.CONTAINER
    _require_one_compose_service(request, olds, composed)
    service = compose.service_of(composed[0])
    if request.image is not None:
        raise UsageError(
            f"{request.service} is a service of Compose: its image is what its files say",
            hint=f"change `image:` in {service.files[0]}, then: netshare rollout {request.service}",
        )
    tools.composer.check(service)
    ids = {container.id for container in olds}
    strangers = [each.name for each in everything if service.has(each) and each.id not in ids]
    if strangers:
        raise NetshareError(
            f"Compose counts {', '.join(strangers)} among the replicas of {request.service}, and it does not run",
            hint=f"start it or remove it first: docker rm {strangers[0]}",
        )
    return Maker.COMPOSE


def _require_no_unit(request: Request, olds: Sequence[Container]) -> None:
    for container in olds:
        if unit := container.labels.get(_SYSTEMD_UNIT):
            raise NetshareError(
                f"{container.name} is run by systemd, as {shown(unit)}, which would bring the old one back",
                hint=f"one by one: netshare drain {request.service} {container.name} --wait, and restart its unit",
            )


def _require_one_compose_service(request: Request, olds: Sequence[Container], composed: Sequence[Container]) -> None:
    alone = [container.name for container in olds if container not in composed]
    if alone:
        raise NetshareError(
            f"some replicas of {request.service} were made by Compose ({composed[0].name}) and some were not "
            f"({alone[0]}): they can't be replaced together",
            hint="stop those of one kind first",
        )
    services = {
        (found.project, found.name): container for container in composed for found in [compose.service_of(container)]
    }
    if len(services) > 1:
        named = " and ".join(sorted(f"{project}/{name}" for project, name in services))
        raise NetshareError(
            f"the replicas of {request.service} are of several Compose services: {named}",
            hint="pin one by its project, as in `netshare attach PROJECT/NAME PORT`",
        )


def _options(request: Request, replicas: int, maker: Maker) -> Options:
    """Settle what was left open."""
    canaries = record.canaries(replicas, request.canary)
    if maker is Maker.COMPOSE:
        if request.surge is not None and request.surge < replicas:
            raise UsageError(
                "Compose makes all new replicas at once: --surge can't be less than there are",
                hint="leave --surge out; --batch says how many take over at once",
            )
        batch = min(request.batch or record.default_batch(replicas), replicas)
        return Options(batch, replicas, request.timeout, request.drain, request.canary, request.pause)
    batch = request.batch or min(record.default_batch(replicas), request.surge or replicas)
    batch = min(batch, replicas)
    surge = request.surge or max(batch, canaries)
    for number, what in (
        (batch, f"--batch {batch}"),
        (canaries, f"a canary of {request.canary}%, {canaries} replicas,"),
    ):
        if number > surge:
            raise UsageError(
                f"{what} needs as many more replicas at once, and --surge allows {surge}",
                hint=f"say --surge {number}, or less at once",
            )
    return Options(batch, surge, request.timeout, request.drain, request.canary, request.pause)


def _pairs(service: Service, olds: Sequence[Replica]) -> tuple[Pair, ...]:
    weights = dict(service.weights)
    return tuple(Pair(Member(each.id, each.name, each.engine), weight=weights.get(each.name)) for each in olds)

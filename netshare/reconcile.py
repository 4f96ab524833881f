"""The way of the data: definitions and containers in, kernel state out. The agent and every verb call this.

One stage after the other: load → list → observe → label → drain → judge → plan → diff → apply → link → forward → clean.
Everything that differs between hosts is handed in by a `Host`; nothing here prints, waits or remembers.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Protocol

from netshare.core.diff import Change, diff
from netshare.core.draining import Drain, by_key, drained, is_due, overdue, seen_to, settled
from netshare.core.event import Stage
from netshare.core.flows import Expectation, Flow, concerns_flows, expect
from netshare.core.health import Verdicts
from netshare.core.holding import judged
from netshare.core.judging import endpoints_served, judge
from netshare.core.labelled import Given, Notice, as_held, held_by_labels, labelled
from netshare.core.links import Link
from netshare.core.model import BY_LABELS, Container, Replica, Service
from netshare.core.obstacle import Obstacle, families_served, in_the_way
from netshare.core.plan import ServiceReplicas, plan
from netshare.core.ruleset import Ruleset
from netshare.core.selection import replicas
from netshare.engine.protocol import Lister
from netshare.engine.silence import unanswered
from netshare.errors import EngineUnreachableError, NetshareError, NotPermittedError
from netshare.netfilter.driver import Driver, Observation
from netshare.netfilter.placing import by_name, possible
from netshare.netfilter.rivals import Sockets, rival
from netshare.store.protocol import Definitions, RolloutRecords, Rollouts, Store


class Forwarding(Protocol):
    """Ways past the other firewalls of this host."""

    def ensure(self, *, needed: bool) -> Sequence[Obstacle]:
        """Put what is needed in place, or, where nothing is, take it away again; cheap when nothing changed.

        Gives what stays in the way.
        """

    def obstacles(self) -> Sequence[Obstacle]:
        """Look for what stands in the way, and change nothing."""

    def neighbours(self) -> Sequence[str]:
        """Name the firewalls and engines' backends that are here; change nothing."""

    def missing(self) -> Sequence[str]:
        """Name the places where a rule of netshare's should stand and does not; change nothing."""


class Links(Protocol):
    """The subnets this host is directly on, and what its bridges need besides rules."""

    def list(self) -> Sequence[Link]:
        """List them."""

    def serve(self, used: Iterable[Link]) -> None:
        """Set what these need, and take back what was set for others; cheap when nothing changed."""


class Flows(Protocol):
    """The flows that the kernel tracks."""

    def end(self, expected: Expectation) -> Sequence[Flow]:
        """Look at the flows once, end those that must, and tell which those were.

        Raises:
            NetfilterError, NotPermittedError: the kernel refused; some may be left.

        """


class Drains(Protocol):
    """The drains there are, kept where a restart of the agent does not end them."""

    def now(self) -> float:
        """Tell the time that they are in: seconds since the machine was started."""

    def load(self) -> Sequence[Drain]:
        """Read them.

        Raises:
            DefinitionError: what is there can't be used.

        """

    def save(self, drains: Sequence[Drain]) -> None:
        """Write these in place of all others.

        Raises:
            NetshareError: it can't be done; what was there is there still.

        """


class Wellness(Protocol):
    """What probes have told of replicas."""

    def verdicts(self) -> Verdicts:
        """Give what is known just now."""


class Names(Protocol):
    """The names that shells complete."""

    def post(self, names: Mapping[str, Sequence[str]], kept: Collection[str]) -> None:
        """Put up the replicas of each service; of services that are ``kept``, by owner, those of last time stay."""


Lap = Callable[[Stage], None]
"""Told of each stage when it is over."""


def _unmeasured(_stage: Stage) -> None:
    """Let it pass."""


@dataclass(frozen=True, slots=True)
class Host:
    """This machine, by its adapters."""

    store: Store
    engines: Mapping[str, Lister]
    driver: Driver
    forwarding: Forwarding
    links: Links
    flows: Flows
    sockets: Sockets
    health: Wellness
    drains: Drains
    rollouts: RolloutRecords
    names: Names
    lock: Callable[[], AbstractContextManager[None]]
    lap: Lap = _unmeasured


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What became of the flows that a change left behind; a ``problem`` there takes nothing back."""

    flows: Sequence[Flow] = ()
    problem: NetshareError | None = None

    @property
    def ended(self) -> int:
        """How many have ended."""
        return len(self.flows)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a reconcile is about to commit, what it knows and does not know, and, when it is over, what it ended.

    ``problems`` name what could not be read; the services they concern (``kept``) stay as the kernel has them.
    ``obstacles`` are what others' firewalls drop all the same; ``silent`` are the engines to blame for what is kept.
    ``impossible`` are the services that no driver here can program, with the reason; they are kept too.
    ``labelled`` are the services that labels make, kept ones as the kernel has them; ``notices`` are what else labels
    ask for. ``drains`` are those there are, at the time ``now``; ``noted`` are those that were there before, unless
    they can't be read. ``stuck`` are the names of services whose rollout can't be read, each with why.
    """

    services: tuple[ServiceReplicas, ...]
    kept: frozenset[str]
    problems: tuple[NetshareError, ...]
    links: tuple[Link, ...]
    containers: tuple[Container, ...]
    observation: Observation
    change: Change
    cleaned: Cleaned = Cleaned()
    obstacles: tuple[Obstacle, ...] = ()
    silent: frozenset[str] = frozenset()
    impossible: Mapping[str, NetshareError] = field(default_factory=lambda: MappingProxyType({}))
    labelled: tuple[Service, ...] = ()
    notices: tuple[Notice, ...] = ()
    drains: Sequence[Drain] = ()
    noted: Sequence[Drain] | None = ()
    now: float = 0.0
    stuck: Mapping[str, NetshareError] = field(default_factory=lambda: MappingProxyType({}))


def reconcile(host: Host, *, thorough: bool = False) -> Prepared:
    """Bring the kernel to what the definitions and the engines say, in one transaction.

    ``thorough`` looks for flows that a change before this one may have left behind.

    Raises:
        NetfilterError, NotPermittedError: the kernel refused; it holds what it held before.

    """
    with host.lock():
        host.lap(Stage.LOCK)
        prepared = prepare(host, host.store.load())
        host.driver.apply(prepared.change)
        host.lap(Stage.APPLY)
        host.names.post(_names(prepared.services), prepared.kept)
        host.links.serve(prepared.links)
        host.lap(Stage.LINK)
        after = prepared.change.after
        obstacles = in_the_way(host.forwarding.ensure(needed=bool(after.dispatches)), families_served(after))
        host.lap(Stage.FORWARD)
        prepared = replace(prepared, obstacles=obstacles, cleaned=clean(host, prepared, thorough=thorough))
        host.lap(Stage.CLEAN)
        return note_drains(host, prepared)


def _names(services: Iterable[ServiceReplicas]) -> dict[str, list[str]]:
    return {item.service.name: [replica.name for replica in item.replicas] for item in services}


def prepare(host: Host, definitions: Definitions) -> Prepared:
    """Do all of a reconcile but the change itself."""
    host.lap(Stage.LOAD)
    containers, silent = list_containers(host.engines, definitions.services)
    rollouts = host.rollouts.load()
    host.lap(Stage.LIST)
    known, unknown, to_blame = _split(definitions.services, host.engines, silent)
    observation = host.driver.observe()
    host.lap(Stage.OBSERVE)
    known, impossible = possible(known, host.driver)
    held = observation.ruleset
    # Whose label made what the kernel holds, it does not tell: any silent engine's container may have.
    unheard = unanswered(host.engines, silent)
    frozen = held_by_labels(held) if unheard else _stuck(held, rollouts)
    stuck = [service for service in known if service.name in rollouts.unreadable]
    kept = frozenset(service.name for service in (*unknown, *stuck)) | frozen
    kept |= definitions.unreadable.keys() | impossible.keys()
    made = labelled(
        containers,
        Given(
            attached={service.name: service for service in definitions.services},
            unreadable=definitions.unreadable.keys(),
            weights={service.name: service.weights for service in definitions.adjusted},
            held=held,
            kept=kept,
            rival=partial(rival, containers=containers, sockets=host.sockets),
            strategies=host.driver.offers[host.driver.name].strategies,
        ),
    )
    host.lap(Stage.LABEL)
    services = [service for service in (*known, *made.services) if service.name not in rollouts.unreadable]
    seen = [ServiceReplicas(service, replicas(service, containers)) for service in services]
    now, (noted, unusable) = host.drains.now(), _noted(host.drains)
    drains = settled(noted or (), seen, kept, now)
    there = _judge(tuple(drained(seen, drains, now)), rollouts, host.health, held)
    host.lap(Stage.JUDGE)
    links = host.links.list()
    wanted = plan(there, links=links, keep=kept, held=held, place=host.driver.place)
    used = tuple(link for link in links if link.network in wanted.hairpins)
    host.lap(Stage.PLAN)
    # Where nothing is and nothing is wanted, no table is made; a damaged one can't be altered bit by bit.
    rebuild = not observation.intact and (bool(wanted.dispatches) or held != Ruleset())
    change = diff(held, wanted, rebuild=rebuild)
    host.lap(Stage.DIFF)
    to_blame |= unheard if frozen else {}
    return Prepared(
        services=there,
        kept=kept,
        problems=(
            *definitions.unreadable.values(),
            *to_blame.values(),
            *by_name(impossible),
            *unusable,
            *rollouts.unreadable.values(),
        ),
        links=used,
        containers=tuple(containers),
        observation=observation,
        change=change,
        silent=frozenset(to_blame),
        impossible=impossible,
        labelled=(*made.services, *(as_held(owner, held) for owner in sorted(frozen))),
        notices=made.notices,
        drains=drains,
        noted=noted,
        now=now,
        stuck=rollouts.unreadable,
    )


def _noted(drains: Drains) -> tuple[Sequence[Drain] | None, tuple[NetshareError, ...]]:
    """Read the drains; where they can't be used, that is a problem, and no reason to stop."""
    try:
        return drains.load(), ()
    except NetshareError as error:
        return None, (error,)


def _stuck(held: Ruleset, rollouts: Rollouts) -> frozenset[str]:
    """Name the services of labels whose rollout can't be read: nobody knows whom they should be served by."""
    return held_by_labels(held) & {f"{name}{BY_LABELS}" for name in rollouts.unreadable}


def _judge(
    seen: Sequence[ServiceReplicas], rollouts: Rollouts, health: Wellness, held: Ruleset
) -> tuple[ServiceReplicas, ...]:
    """Judge by their health, and by where a rollout stands, which of the replicas left may be given new connections."""
    is_probed = any(item.service.health.is_probed for item in seen)
    verdicts, served = (health.verdicts(), endpoints_served(held)) if is_probed else (Verdicts(), {})

    def by_health(service: Service, some: Sequence[Replica]) -> Sequence[Replica]:
        return judge(service, some, verdicts, served.get(service.owner, frozenset()))

    return tuple(
        replace(
            item,
            replicas=judged(rollouts.known.get(item.service.name), item.service, item.replicas, by_health),
        )
        for item in seen
    )


def clean(host: Host, prepared: Prepared, *, thorough: bool) -> Cleaned:
    """End the flows that the kernel would go on with as before; looks at none where the change gives no reason to."""
    change, services, kept = prepared.change, prepared.services, prepared.kept
    is_late = is_due(prepared.drains, prepared.now)
    if not is_late and not concerns_flows(change, services, kept=kept, thorough=thorough):
        return Cleaned()
    late = overdue(services, prepared.drains, prepared.now)
    expected = expect(change, services, kept=kept, containers=prepared.containers, overdue=late, thorough=thorough)
    try:
        return Cleaned(host.flows.end(expected))
    except NetshareError as problem:
        return Cleaned(problem=problem)


def note_drains(host: Host, prepared: Prepared) -> Prepared:
    """Write down what became of the drains; what can't be is told of like a flow that could not be ended."""
    if prepared.noted is None:
        return prepared
    drains = prepared.drains
    if prepared.cleaned.problem is None:
        drains = seen_to(drains, prepared.services, prepared.cleaned.flows, prepared.now)
    if by_key(drains) == by_key(prepared.noted):
        return prepared
    try:
        host.drains.save(drains)
    except NetshareError as problem:
        return replace(prepared, cleaned=replace(prepared.cleaned, problem=prepared.cleaned.problem or problem))
    return replace(prepared, drains=drains)


def list_containers(
    engines: Mapping[str, Lister],
    services: Iterable[Service],
) -> tuple[list[Container], dict[str, EngineUnreachableError]]:
    """List the containers of every engine, as labels alone attach one, and name the engines that do not answer.

    Raises:
        NotPermittedError: an engine that some service needs may not be asked.

    """
    needed = {name for service in services for name in engines_of(service, engines)}
    containers: list[Container] = []
    silent: dict[str, EngineUnreachableError] = {}
    for name in sorted(engines):
        try:
            containers += engines[name].containers()
        except EngineUnreachableError as error:
            silent[name] = error
        except NotPermittedError as error:
            if name in needed:
                raise
            silent[name] = EngineUnreachableError(error.message, hint=error.hint)
    return containers, silent


def engines_of(service: Service, engines: Mapping[str, Lister]) -> list[str]:
    """Name the engines a service's replicas may live in: none for a static one."""
    if service.is_static:
        return []
    return [name for name in engines if service.engine in (None, name)]


def _split(
    services: Iterable[Service],
    engines: Mapping[str, Lister],
    silent: Mapping[str, EngineUnreachableError],
) -> tuple[list[Service], list[Service], dict[str, EngineUnreachableError]]:
    """Tell the services whose replicas are known from those that are not, and name the engines whose silence it is."""
    known: list[Service] = []
    unknown: list[Service] = []
    to_blame: dict[str, EngineUnreachableError] = {}
    for service in services:
        silences = unanswered(engines_of(service, engines), silent)
        to_blame |= silences
        (unknown if silences else known).append(service)
    return known, unknown, to_blame

"""The way of the data: definitions and containers in, kernel state out. The agent and every verb call this.

One stage after the other: load → list → observe → label → drain → judge → plan → diff → apply → link → forward → clean.
Everything that differs between hosts is handed in by a `Host`; nothing here prints, waits or remembers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from types import MappingProxyType

from netshare.core.diff import Change, diff
from netshare.core.draining import Drain, by_key, drained, is_due, overdue, seen_to, settled, spared
from netshare.core.event import Stage
from netshare.core.flows import Flow, concerns_flows, expect
from netshare.core.health import Verdicts
from netshare.core.holding import judged
from netshare.core.judging import endpoints_served, judge, may_be_probed
from netshare.core.labelled import Given, Labelled, Notice, as_held, labelled
from netshare.core.links import Link
from netshare.core.model import Container, Replica, Service
from netshare.core.obstacle import Obstacle, families_served, in_the_way
from netshare.core.plan import ServiceReplicas, plan
from netshare.core.ruleset import Ruleset
from netshare.core.selection import replicas
from netshare.errors import NetshareError
from netshare.host import Drains, Host, Wellness
from netshare.known import Known, Listed, find_out, list_containers
from netshare.netfilter.driver import Observation
from netshare.netfilter.rivals import rival
from netshare.store.protocol import Definitions, Rollouts


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
    they can't be read. ``stuck`` are the names of services whose rollout can't be read, each with why. ``refusal``
    is why nothing may be committed; it is among the problems too.
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
    refusal: NetshareError | None = None


def reconcile(host: Host, *, thorough: bool = False) -> Prepared:
    """Bring the kernel to what the definitions and the engines say, in one transaction.

    ``thorough`` looks for flows that a change before this one may have left behind.

    Raises:
        NetfilterError, NotPermittedError: the kernel refused, or what a newer netshare made has to stay; it holds what
            it held before.

    """
    with host.lock():
        host.lap(Stage.LOCK)
        prepared = prepare(host, host.store.load())
        if prepared.refusal is not None:
            raise prepared.refusal
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
    listed, rollouts = list_containers(host.engines, definitions.services), host.rollouts.load()
    host.lap(Stage.LIST)
    observation = host.driver.observe()
    held = observation.ruleset
    host.lap(Stage.OBSERVE)
    known = find_out(host, definitions, rollouts, listed, observation)
    made = _label(host, definitions, listed, known, held)
    by_labels = [service for service in made.services if service.name not in rollouts.unreadable]
    host.lap(Stage.LABEL)
    seen = [ServiceReplicas(each, replicas(each, listed.containers)) for each in (*known.services, *by_labels)]
    now, (noted, unusable) = host.drains.now(), _noted(host.drains)
    drains = settled(noted or (), seen, known.kept, now)
    there = _judge(tuple(drained(seen, drains, now)), rollouts, host.health, observation)
    host.lap(Stage.JUDGE)
    links = host.links.list()
    wanted = plan(there, links=links, keep=known.kept, held=held, place=host.driver.place)
    host.lap(Stage.PLAN)
    # Where nothing is and nothing is wanted, no table is made; a damaged one can't be altered bit by bit.
    rebuild = not observation.intact and (bool(wanted.dispatches) or observation.is_there)
    change = diff(held, wanted, rebuild=rebuild)
    host.lap(Stage.DIFF)
    return Prepared(
        services=there,
        kept=known.kept,
        problems=(*definitions.unreadable.values(), *known.problems, *unusable, *rollouts.unreadable.values()),
        links=tuple(link for link in links if link.network in wanted.hairpins),
        containers=tuple(listed.containers),
        observation=observation,
        change=change,
        silent=frozenset(known.to_blame),
        impossible=known.impossible,
        labelled=(*made.services, *(as_held(owner, held) for owner in sorted(known.frozen))),
        notices=made.notices,
        drains=drains,
        noted=noted,
        now=now,
        stuck=rollouts.unreadable,
        refusal=known.refusal,
    )


def _label(host: Host, definitions: Definitions, listed: Listed, known: Known, held: Ruleset) -> Labelled:
    """Make services of labels, out of what those that were attached leave them."""
    return labelled(
        listed.containers,
        Given(
            attached={service.name: service for service in definitions.services},
            unreadable=definitions.unreadable.keys(),
            weights={service.name: service.weights for service in definitions.adjusted},
            held=held,
            kept=known.kept,
            rival=partial(rival, containers=listed.containers, sockets=host.sockets),
            strategies=host.driver.offers[host.driver.name].strategies,
        ),
    )


def _noted(drains: Drains) -> tuple[Sequence[Drain] | None, tuple[NetshareError, ...]]:
    """Read the drains; where they can't be used, that is a problem, and no reason to stop."""
    try:
        return drains.load(), ()
    except NetshareError as error:
        return None, (error,)


def _judge(
    seen: Sequence[ServiceReplicas], rollouts: Rollouts, health: Wellness, observed: Observation
) -> tuple[ServiceReplicas, ...]:
    """Judge by their health, and by where a rollout stands, which of the replicas left may be given new connections."""
    is_probed = any(may_be_probed(item.service) for item in seen)
    verdicts, served = (health.verdicts(), endpoints_served(observed.ruleset)) if is_probed else (Verdicts(), {})

    def by_health(service: Service, some: Sequence[Replica]) -> Sequence[Replica]:
        # Whom a newer netshare's tables serve is not known for sure: nobody is left out there for not being known.
        everyone = {each for replica in some for each in chain.from_iterable(replica.endpoints.values())}
        serving = served.get(service.owner, set()) if observed.newer is None else everyone
        return judge(service, some, verdicts, serving)

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
    expected = expect(
        change,
        services,
        kept=kept,
        containers=prepared.containers,
        overdue=overdue(services, prepared.drains, prepared.now),
        spared=spared(services, prepared.drains, prepared.now),
        thorough=thorough,
    )
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

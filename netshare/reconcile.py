"""The way of the data: definitions and containers in, kernel state out. The agent and every verb call this.

One stage after the other: load → list → judge → observe → plan → diff → apply → link → forward → clean. Everything
that differs between hosts is handed in by a `Host`; nothing here prints, waits or remembers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from netshare.core.diff import Change, diff
from netshare.core.flows import Expectation, concerns_flows, expect
from netshare.core.links import Link
from netshare.core.model import Container, Service
from netshare.core.obstacle import Obstacle, families_served, in_the_way
from netshare.core.plan import ServiceReplicas, plan
from netshare.core.ruleset import Ruleset
from netshare.core.selection import replicas
from netshare.engine.protocol import Lister
from netshare.errors import EngineUnreachableError, NetshareError
from netshare.netfilter.driver import Driver, Observation
from netshare.store.protocol import Definitions, Store


class Forwarding(Protocol):
    """Ways past the other firewalls of this host."""

    def ensure(self, *, needed: bool) -> Sequence[Obstacle]:
        """Put what is needed in place, or, where nothing is, take it away again; cheap when nothing changed.

        Gives what stays in the way.
        """

    def obstacles(self) -> Sequence[Obstacle]:
        """Look for what stands in the way, and change nothing."""


class Links(Protocol):
    """The subnets this host is directly on, and what its bridges need besides rules."""

    def list(self) -> Sequence[Link]:
        """List them."""

    def serve(self, used: Iterable[Link]) -> None:
        """Set what these need, and take back what was set for others; cheap when nothing changed."""


class Flows(Protocol):
    """The flows that the kernel tracks."""

    def end(self, expected: Expectation) -> int:
        """Look at the flows once, end those that must, and tell how many that were.

        Raises:
            NetfilterError, NotPermittedError: the kernel refused; some may be left.

        """


@dataclass(frozen=True, slots=True)
class Host:
    """This machine, by its adapters."""

    store: Store
    engines: Mapping[str, Lister]
    driver: Driver
    forwarding: Forwarding
    links: Links
    flows: Flows
    lock: Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What became of the flows that a change left behind; a ``problem`` there takes nothing back."""

    ended: int = 0
    problem: NetshareError | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a reconcile is about to commit, what it knows and does not know, and, when it is over, what it ended.

    ``problems`` name what could not be read; the services they concern (``kept``) stay as the kernel has them.
    ``obstacles`` are what others' firewalls drop all the same.
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


def reconcile(host: Host, *, thorough: bool = False) -> Prepared:
    """Bring the kernel to what the definitions and the engines say, in one transaction.

    ``thorough`` looks for flows that a change before this one may have left behind.

    Raises:
        NetfilterError, NotPermittedError: the kernel refused; it holds what it held before.

    """
    with host.lock():
        prepared = prepare(host, host.store.load())
        host.driver.apply(prepared.change)
        host.links.serve(prepared.links)
        after = prepared.change.after
        obstacles = in_the_way(host.forwarding.ensure(needed=bool(after.dispatches)), families_served(after))
        return replace(prepared, obstacles=obstacles, cleaned=clean(host, prepared, thorough=thorough))


def prepare(host: Host, definitions: Definitions) -> Prepared:
    """Do all of a reconcile but the change itself."""
    containers, silent = list_containers(host.engines, definitions.services)
    known, unknown = _split(definitions.services, host.engines, silent)
    judged = tuple(ServiceReplicas(service, tuple(replicas(service, containers))) for service in known)
    kept = frozenset(service.name for service in unknown) | definitions.unreadable.keys()
    observation = host.driver.observe()
    held = observation.ruleset
    links = host.links.list()
    wanted = plan(judged, links=links, keep=kept, held=held)
    used = tuple(link for link in links if link.network in wanted.hairpins)
    # Where nothing is and nothing is wanted, no table is made; a damaged one can't be altered bit by bit.
    rebuild = not observation.intact and (bool(wanted.dispatches) or held != Ruleset())
    problems = (*definitions.unreadable.values(), *(silent.values() if unknown else ()))
    change = diff(held, wanted, rebuild=rebuild)
    return Prepared(judged, kept, problems, used, tuple(containers), observation, change)


def clean(host: Host, prepared: Prepared, *, thorough: bool) -> Cleaned:
    """End the flows that the kernel would go on with as before; looks at none where the change gives no reason to."""
    change, services, kept = prepared.change, prepared.services, prepared.kept
    if not concerns_flows(change, services, kept=kept, thorough=thorough):
        return Cleaned()
    expected = expect(change, services, kept=kept, containers=prepared.containers, thorough=thorough)
    try:
        return Cleaned(host.flows.end(expected))
    except NetshareError as problem:
        return Cleaned(problem=problem)


def list_containers(
    engines: Mapping[str, Lister],
    services: Iterable[Service],
) -> tuple[list[Container], dict[str, EngineUnreachableError]]:
    """List the containers of every engine some service needs, and the engines that do not answer."""
    needed = {name for service in services for name in engines_of(service, engines)}
    containers: list[Container] = []
    silent: dict[str, EngineUnreachableError] = {}
    for name in sorted(needed):
        try:
            containers += engines[name].containers()
        except EngineUnreachableError as error:
            silent[name] = error
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
) -> tuple[list[Service], list[Service]]:
    """Tell the services whose replicas are known from those with an engine that does not answer."""
    known: list[Service] = []
    unknown: list[Service] = []
    for service in services:
        is_silent = any(name in silent for name in engines_of(service, engines))
        (unknown if is_silent else known).append(service)
    return known, unknown

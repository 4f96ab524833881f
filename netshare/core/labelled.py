"""The services that containers make by their labels alone, and what their labels ask for and don't get.

Pure. Each container asks for listeners of its own; those of all that name one service are that service's. So replicas
that disagree about ports are each behind those they name. Of what can only be one for all, the strategy and the health
check, the first container by name and id decides that says anything.

Whose a port is, `netshare.core.label_ports` decides.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from itertools import islice

from netshare.core import checks, labels
from netshare.core.label_ports import Ports, is_held, order
from netshare.core.labels import Labels
from netshare.core.maglev import SIZE
from netshare.core.model import BY_LABELS, Container, HealthCheck, Listener, Service, Source, Strategy
from netshare.core.ruleset import Ruleset
from netshare.core.selection import COMPOSE_ONEOFF, compose
from netshare.errors import UsageError

MAX_NAME = 100
"""How long a name can be: with `BY_LABELS` it is a comment in the kernel, of which nft lists and loads 128 bytes."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Notice:
    """What a container's labels ask for and don't get, and why. Of several that ask for it, the first is named."""

    container: str
    engine: str
    service: str | None
    reason: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"container {self.container} ({self.engine}): {self.reason}"


@dataclass(frozen=True, slots=True)
class Labelled:
    """The services that labels make, in order of names, and what else was asked for."""

    services: tuple[Service, ...] = ()
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """What labels have to make do with.

    ``attached`` are the services of definitions, ``unreadable`` the names of definitions that can't be read,
    ``weights`` what was given by hand to replicas of services that labels make. Services of ``kept`` owners stay as the
    kernel holds them. ``rival`` says who of outside netshare has a listener, if anybody. ``strategies`` are those that
    this host's driver has.
    """

    attached: Mapping[str, Service]
    unreadable: Set[str]
    weights: Mapping[str, tuple[tuple[str, int], ...]]
    held: Ruleset
    kept: Set[str]
    rival: Callable[[Listener], str | None]
    strategies: Set[Strategy] = frozenset(Strategy)


@dataclass(frozen=True, slots=True)
class _Carrier:
    """A container that names a service, and all that its labels say."""

    container: Container
    says: Labels

    def notice(self, reason: str) -> Notice:
        return Notice(self.container.name, self.container.engine, self.says.service, reason)


@dataclass(frozen=True, slots=True)
class _Proposal:
    """A service as its containers, in order of name and id, would have it."""

    name: str
    carriers: list[_Carrier]

    @property
    def owner(self) -> str:
        return f"{self.name}{BY_LABELS}"

    @property
    def asked(self) -> dict[Listener, _Carrier]:
        """What is asked for, in order of ports, with the first that asks for each."""
        found: dict[Listener, _Carrier] = {}
        for carrier in self.carriers:
            for own in carrier.says.listeners:
                found.setdefault(Listener(own.port, own.protocol, own.address), carrier)
        return {listener: found[listener] for listener in sorted(found, key=order)}

    @property
    def strategy(self) -> Strategy:
        """The first that says anything decides."""
        return next((said for c in self.carriers if (said := c.says.strategy) is not None), Strategy.RANDOM)

    @property
    def health(self) -> HealthCheck:
        """The first that says anything decides."""
        return next((said for c in self.carriers if (said := c.says.health) is not None), HealthCheck())

    def unheeded(self, strategy: Strategy, health: HealthCheck, why: str) -> Iterator[Notice]:
        """Tell of the first whose label says something else than what is done."""
        for key, others in (
            (labels.STRATEGY, (c for c in self.carriers if c.says.strategy not in (None, strategy))),
            (labels.HEALTH, (c for c in self.carriers if c.says.health not in (None, health))),
        ):
            yield from (other.notice(f"its label {key} is not followed: {why}") for other in islice(others, 1))

    @property
    def slots(self) -> int:
        """How many slots each of its listeners takes, at most."""
        return SIZE if self.strategy is Strategy.SOURCE_HASH else sum(c.says.weight or 1 for c in self.carriers)


def labelled(containers: Iterable[Container], given: Given) -> Labelled:
    """Make services of all containers' labels."""
    carriers, notices = _carriers(containers, given.strategies)
    proposals = [_Proposal(name, those) for name, those in sorted(carriers.items())]
    wanted: list[_Proposal] = []
    for proposal in proposals:
        told = _hindrance(proposal, given)
        if told is None and proposal.asked:
            wanted.append(proposal)
        notices += told or ()
    if not wanted:
        return Labelled((), tuple(notices))
    ports = Ports(given.attached.values(), given.held, given.kept | given.unreadable, given.rival)
    granted: dict[str, list[Listener]] = {}
    refused: dict[tuple[str, str], list[Listener]] = {}
    for _, proposal, listener in sorted(_wishes(wanted, given.held), key=lambda wish: wish[0]):
        reason = ports.refusal(listener, proposal.owner, proposal.slots)
        if reason is None:
            granted.setdefault(proposal.name, []).append(listener)
        else:
            refused.setdefault((proposal.name, reason), []).append(listener)
    by_name = {proposal.name: proposal for proposal in wanted}
    for (name, reason), those in sorted(refused.items()):
        notices.append(by_name[name].asked[those[0]].notice(f"it is not put behind {_named(those)}: {reason}"))
    services = []
    for name, listeners in sorted(granted.items()):
        service, unheeded = _service(by_name[name], listeners, given.weights.get(name, ()))
        services.append(service)
        notices += unheeded
    return Labelled(tuple(services), tuple(notices))


def _service(
    proposal: _Proposal, listeners: Iterable[Listener], weights: tuple[tuple[str, int], ...]
) -> tuple[Service, list[Notice]]:
    """Make a service of what was granted, and tell of labels that are not followed."""
    service = Service(
        proposal.name,
        tuple(sorted(listeners, key=order)),
        proposal.strategy,
        source=Source.LABELS,
        weights=weights,
        health=proposal.health,
    )
    why = "the first of its service's containers, by name, that says something decides"
    try:
        checks.require_probed_port(service)
    except UsageError as error:
        service, why = replace(service, health=HealthCheck()), error.message
    return service, list(proposal.unheeded(service.strategy, service.health, why))


def held_by_labels(held: Ruleset) -> frozenset[str]:
    """Name the owners in the kernel that are services of labels."""
    return frozenset(d.service for d in held.dispatches.values() if d.service.endswith(BY_LABELS))


def as_held(owner: str, held: Ruleset) -> Service:
    """Make a service of labels from what the kernel holds of it."""
    own = {match: dispatch for match, dispatch in held.dispatches.items() if dispatch.service == owner}
    listeners = {Listener(match.port, match.protocol, match.address) for match in own}
    strategy = next((d.strategy for d in own.values() if d.strategy), Strategy.RANDOM)
    name = owner.removesuffix(BY_LABELS)
    return Service(name, tuple(sorted(listeners, key=order)), strategy, source=Source.LABELS)


def _carriers(
    containers: Iterable[Container], strategies: Set[Strategy]
) -> tuple[dict[str, list[_Carrier]], list[Notice]]:
    """Collect the containers that name a service, in order of name and id, by that service."""
    found: dict[str, list[_Carrier]] = {}
    notices: list[Notice] = []
    for container in sorted(containers, key=lambda c: (c.name, c.id, c.engine)):
        if compose(container, COMPOSE_ONEOFF) == "True":
            continue
        try:
            carrier = _Carrier(container, labels.read(container.labels))
        except UsageError as error:
            meant = labels.service(container.labels)
            notices.append(Notice(container.name, container.engine, meant, error.message))
            continue
        if carrier.says.strategy not in (None, *strategies):
            notices.append(carrier.notice(f"this host's driver can't do {labels.STRATEGY}={carrier.says.strategy}"))
            continue
        if odd := labels.unknown(container.labels):
            notices.append(carrier.notice(f"there is no label {odd[0]!a:.80}; it is not looked at"))
        if carrier.says.service is not None:
            found.setdefault(carrier.says.service, []).append(carrier)
        elif carrier.says.listeners:
            notices.append(
                carrier.notice(f"its label {labels.PORT} needs {labels.SERVICE} beside it to name a service")
            )
    return found, notices


def _hindrance(proposal: "_Proposal", given: Given) -> list[Notice] | None:
    """Say what keeps a name from being a service of labels; nothing said is a hindrance too, none is ``None``."""
    name, asked = proposal.name, proposal.asked
    if name in given.attached:
        return list(_governed(given.attached[name], proposal))
    if proposal.owner in given.kept:
        return []
    reason = None
    if name in given.unreadable:
        reason = f"service {name} has a definition, and it can't be read"
    elif len(name) > MAX_NAME:
        reason = f"the name of a service that labels make has at most {MAX_NAME} characters"
    return [next(iter(asked.values())).notice(reason)] if reason and asked else None


def _wishes(
    proposals: Iterable["_Proposal"], held: Ruleset
) -> Iterator[tuple[tuple[bool, str, tuple[int, str, int, int]], "_Proposal", Listener]]:
    """List what is asked for with its place in the queue: what the kernel holds already comes first."""
    for proposal in proposals:
        for listener in proposal.asked:
            is_new = not is_held(listener, proposal.owner, held)
            yield (is_new, proposal.name, order(listener)), proposal, listener


def _governed(service: Service, proposal: "_Proposal") -> Iterator[Notice]:
    """Tell where labels ask for something else than the definition of an attached service says."""
    asked = proposal.asked
    others = [listener for listener in asked if not any(listener.overlaps(own) for own in service.listeners)]
    governs = f"{service.name} is attached by hand, and that decides"
    if others:
        yield asked[others[0]].notice(f"it is not put behind {_named(others)}: {governs}")
    yield from proposal.unheeded(service.strategy, service.health, governs)


def _named(listeners: list[Listener]) -> str:
    more = f" and {len(listeners) - _SHOWN} more" if len(listeners) > _SHOWN else ""
    return ", ".join(map(str, listeners[:_SHOWN])) + more

"""``weight``: give a replica another share of the new connections; those that are open stay where they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from netshare.core.model import Replica, Service, Source
from netshare.errors import NotFoundError, UsageError
from netshare.host import Host
from netshare.operations.change import Change, commit
from netshare.operations.control import AgentControl
from netshare.operations.replica import judged, named


@dataclass(frozen=True, slots=True)
class Weighed:
    """A replica and the weight it has now; ``shares`` are those of all replicas of its service, by name."""

    service: str
    replica: str
    weight: int
    shares: tuple[tuple[str, int], ...]
    changed: bool
    warnings: tuple[str, ...] = ()


def weigh(host: Host, agent: AgentControl, name: str, word: str, weight: int) -> Weighed:
    """Save the weight in the service's definition and bring it to the kernel.

    A service that labels make has no definition: there only the weight is saved, for as long as its replica's name is
    used, and goes before what the label says.

    Raises:
        NotFoundError: there is no such service or replica.
        EngineUnreachableError: the engine does not tell which replicas there are.
        NetshareError: it could not be done; the definitions are what they were before.

    """
    with host.lock():
        definitions = host.store.load()
        before = definitions.get(name)
        service, replicas = judged(host, definitions, name)
        meant = named(word, name, replicas)
        after = weighted(before or Service(name, (), source=Source.LABELS), {meant.name: weight})
        changed = after != before
        if changed:
            host.store.save(after)
    warnings = commit(host, agent, [Change(name, before, after)])
    own = dict(after.weights)
    shares = {replica.name: own.get(replica.name, replica.weight) for replica in replicas}
    return Weighed(service.name, meant.name, weight, tuple(shares.items()), changed, warnings)


def weighted(service: Service, weights: dict[str, int]) -> Service:
    """Give replicas of a service their weights, by name."""
    return replace(service, weights=tuple(sorted((dict(service.weights) | weights).items())))


def resolved(
    wishes: Iterable[tuple[str, int]], service: str, replicas: Sequence[Replica], *, in_advance: bool
) -> dict[str, int]:
    """Find out which replicas are meant; ``in_advance``, one that nobody is called yet is taken for a name to come.

    Raises:
        NotFoundError: there is no such replica.
        UsageError: one is given two weights.

    """
    found: dict[str, int] = {}
    for word, weight in wishes:
        try:
            name = named(word, service, replicas).name
        except NotFoundError:
            if not in_advance:
                raise
            name = word
        if found.setdefault(name, weight) != weight:
            raise UsageError(
                f"--weight gives {name} both {found[name]} and {weight}", hint="a replica has one weight: give it once"
            )
    return found

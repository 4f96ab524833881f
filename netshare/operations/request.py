"""What ``attach`` was asked for, and the definition that makes of the one that is there."""

from dataclasses import dataclass, replace

from netshare.core.checks import require_probed_port
from netshare.core.model import IPAddress, Listener, Protocol, Service, Source, StaticEndpoint, Strategy
from netshare.core.selection import STATIC_ENGINE
from netshare.errors import UsageError
from netshare.operations.health_request import NOTHING, HealthRequest, updated_check


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """The words of an ``attach``; what was not said is ``None`` or empty, and stays as it is."""

    name: str
    port: int
    protocol: Protocol = Protocol.TCP
    to: int | None = None
    listen: tuple[IPAddress, ...] = ()
    select: tuple[tuple[str, str], ...] = ()
    network: str | None = None
    engine: str | None = None
    endpoints: tuple[StaticEndpoint, ...] = ()
    strategy: Strategy | None = None
    driver: str | None = None
    weights: tuple[tuple[str, int], ...] = ()
    health: HealthRequest = NOTHING
    drain: float | None = None
    force: bool = False
    wait: bool = True
    timeout: float = 60.0


def requested_listeners(request: AttachRequest, current: Service | None) -> tuple[Listener, ...]:
    """Give the listeners asked for; a ``to`` that was not said again stays what it was."""
    addresses = tuple(dict.fromkeys(request.listen)) or (None,)
    wanted = [Listener(request.port, request.protocol, address, request.to) for address in addresses]
    there = current.listeners if current else ()
    return tuple(_with_known_target(listener, there) for listener in wanted)


def updated(current: Service | None, request: AttachRequest) -> Service:
    """Apply a request to a definition: its listeners are added, whatever else it says replaces what was said before.

    Its weights are for those who know the replicas (`netshare.operations.weight`).

    Raises:
        UsageError: its words contradict each other.

    """
    base = current or Service(request.name, ())
    wanted = requested_listeners(request, current)
    service = replace(
        _found_by(base, request),
        listeners=_merged(base.listeners, wanted),
        strategy=request.strategy or base.strategy,
        source=Source.ATTACH,
        driver=request.driver or base.driver,
        health=updated_check(base.health, request.health),
        fail=request.health.fail or base.fail,
        drain=base.drain if request.drain is None else request.drain,
    )
    require_probed_port(service)
    return service


def _with_known_target(listener: Listener, there: tuple[Listener, ...]) -> Listener:
    if listener.to is not None:
        return listener
    return next((other for other in there if other.overlaps(listener)), listener)


def _merged(there: tuple[Listener, ...], wanted: tuple[Listener, ...]) -> tuple[Listener, ...]:
    replaced = [next((new for new in wanted if new.overlaps(old)), old) for old in there]
    added = [new for new in wanted if not any(new.overlaps(old) for old in there)]
    return (*replaced, *added)


def _found_by(base: Service, request: AttachRequest) -> Service:
    """Settle how replicas are found: by an engine, or listed. Asking for one ends the other."""
    by_engine = bool(request.select or request.network or request.engine not in (None, STATIC_ENGINE))
    if request.endpoints:
        if by_engine:
            raise UsageError(
                "--endpoint lists the replicas; --select, --network and --engine look for them",
                hint="use one or the other",
            )
        endpoints = tuple(dict.fromkeys(request.endpoints))
        return replace(base, endpoints=endpoints, select=(), network=None, engine=None)
    if request.engine == STATIC_ENGINE:
        if by_engine or not base.is_static:
            raise UsageError(
                "--engine static needs the replicas listed",
                hint="add --endpoint IP[:PORT], once for each of them, without --select and --network",
            )
        return base
    if not by_engine:
        return base
    return replace(
        base,
        endpoints=(),
        select=_labels(request.select) or base.select,
        network=request.network or base.network,
        engine=request.engine or base.engine,
    )


def _labels(select: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    labels = dict(select)
    for key, value in select:
        if labels[key] != value:
            raise UsageError(
                f"--select asks for {key}={value} and {key}={labels[key]}",
                hint="a label has one value: give each key once",
            )
    return tuple(sorted(labels.items()))

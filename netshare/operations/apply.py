"""``apply`` and ``diff``: bring the definitions to a list of services, all of them in one go, or compare."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from netshare.core.model import Container, Listener, Service, Source
from netshare.host import Host
from netshare.known import engines_of
from netshare.netfilter.rivals import Sockets
from netshare.operations import candidates, conflicts
from netshare.operations.change import Change, commit, save
from netshare.operations.control import Agent, AgentControl
from netshare.store.protocol import Definitions


class Kind(StrEnum):
    """What becomes of a service."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of each service, or would: those of the list in its order, then those that go."""

    changes: tuple[Change, ...]
    warnings: tuple[str, ...] = ()
    agent: Agent | None = None

    @property
    def is_change(self) -> bool:
        """Whether anything is not as it was."""
        return any(not change.is_empty for change in self.changes)


def kind(change: Change) -> Kind:
    """Say what becomes of a service."""
    if change.is_empty:
        return Kind.UNCHANGED
    if change.before is None:
        return Kind.ADDED
    return Kind.REMOVED if change.after is None else Kind.CHANGED


def apply(
    host: Host,
    agent: AgentControl,
    sockets: Sockets,
    services: Sequence[Service],
    *,
    prune: bool = False,
    force: bool = False,
    is_dry: bool = False,
) -> Applied:
    """Save all of these definitions, and bring them to the kernel by one reconcile.

    With ``prune`` every other service that was attached goes; those that labels make stay. ``force`` takes ports that
    somebody else has. ``is_dry`` checks all of it and changes nothing.

    Raises:
        PortConflictError, NetshareError: as for ``attach``; the definitions are what they were before.

    """
    if is_dry:
        changes, warnings = _checked(host, sockets, services, prune=prune, force=force)
        return Applied(changes, warnings)
    with host.lock():
        changes, warnings = _checked(host, sockets, services, prune=prune, force=force)
        save(host.store, changes)
    warnings = (*warnings, *commit(host, agent, changes))
    return Applied(changes, warnings, Agent(agent.pid()))


def differences(definitions: Definitions, services: Iterable[Service], *, prune: bool) -> tuple[Change, ...]:
    """Compare these with what is stored.

    Raises:
        DefinitionError: one of them is stored and can't be read.

    """
    changes = [Change(service.name, definitions.get(service.name), service) for service in services]
    if prune:
        named = {change.name for change in changes}
        changes += [Change(there.name, there, None) for there in definitions.services if there.name not in named]
    return tuple(changes)


def _checked(
    host: Host, sockets: Sockets, services: Sequence[Service], *, prune: bool, force: bool
) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """Check every change against everything that could speak against it, as ``attach`` does; also gives warnings."""
    definitions = host.store.load()
    changes = differences(definitions, services, prune=prune)
    added = [change.after for change in changes if change.after is not None and not change.is_empty]
    held = host.driver.observe().ruleset
    for service in added:
        candidates.check_choices(host, service)
    needed = {engine for service in added for engine in engines_of(service, host.engines)}
    containers = candidates.containers(host.engines, needed) if added else []
    wanted = _after(definitions, changes)
    warnings = [error.message for error in definitions.unreadable.values()]
    for change in changes:
        if change.after is None or change.is_empty:
            continue
        listeners = _new_listeners(change)
        conflicts.check_services(change.name, listeners, wanted, held)
        warnings += _taken(listeners, containers, sockets, force=force)
        warnings += conflicts.taken_from_labels(change.name, listeners, held)
        if change.after.source is Source.ATTACH:
            warnings += candidates.check(change.after, change.after.listeners, containers, in_advance=True)
    return changes, tuple(warnings)


def _after(definitions: Definitions, changes: Iterable[Change]) -> Definitions:
    """Give the definitions as they would be."""
    stored = {service.name: service for service in (*definitions.services, *definitions.adjusted)}
    for change in changes:
        stored.pop(change.name, None)
        if change.after is not None:
            stored[change.name] = change.after
    return Definitions.of(stored.values(), definitions.unreadable)


def _new_listeners(change: Change) -> list[Listener]:
    before = change.before.listeners if change.before else ()
    after = change.after.listeners if change.after else ()
    return [new for new in after if not any(new.overlaps(old) for old in before)]


def _taken(
    listeners: Sequence[Listener], containers: Sequence[Container], sockets: Sockets, *, force: bool
) -> tuple[str, ...]:
    if force:
        return conflicts.taken_by_force(listeners, containers, sockets)
    conflicts.check_rivals(listeners, containers, sockets)
    return ()

"""Changed definitions brought to the kernel, or taken back: a verb that fails leaves things as they were."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from netshare.core.model import Service
from netshare.errors import NetshareError
from netshare.host import Host
from netshare.operations.control import AgentControl, converge
from netshare.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Change:
    """What is stored of a name before and after; ``None`` is no definition."""

    name: str
    before: Service | None
    after: Service | None

    @property
    def is_empty(self) -> bool:
        """Whether all stays as it is."""
        return self.before == self.after


def save(store: Store, changes: Iterable[Change]) -> None:
    """Save them, all or none; the caller holds the lock.

    Raises:
        NetshareError: one could not be saved; the definitions are what they were before.

    """
    saved: list[Change] = []
    try:
        for change in changes:
            if not change.is_empty:
                saved.append(change)
                _store(store, change.name, change.after)
    except NetshareError:
        for change in saved:
            with suppress(NetshareError):  # what matters is the first error
                _store(store, change.name, change.before)
        raise


def commit(host: Host, agent: AgentControl, changes: Sequence[Change]) -> tuple[str, ...]:
    """Converge on what was just saved. Gives warnings.

    Raises:
        NetshareError: it could not be done; the definitions are again what they were before.

    """
    try:
        problems = converge(host, agent)
    except NetshareError:
        _take_back(host, changes)
        # The kernel may hold the change although a later stage (forwarding) failed; what matters is the first error.
        with suppress(NetshareError):
            converge(host, agent)
        raise
    return tuple(f"{problem.message} ({problem.hint})" if problem.hint else problem.message for problem in problems)


def _take_back(host: Host, changes: Sequence[Change]) -> None:
    if all(change.is_empty for change in changes):
        return
    with host.lock():
        definitions = host.store.load()
        now = {service.name: service for service in (*definitions.services, *definitions.adjusted)}
        # Someone else may have changed one since: theirs is the newer wish.
        mine = [change for change in changes if not change.is_empty and now.get(change.name) == change.after]
        save(host.store, [Change(change.name, change.after, change.before) for change in mine])


def _store(store: Store, name: str, service: Service | None) -> None:
    if service is None:
        store.delete(name)
    else:
        store.save(service)

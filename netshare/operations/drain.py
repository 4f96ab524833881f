"""``drain`` and ``resume``: take replicas of a service out of rotation, and in again.

What is said here is noted, and brought to the kernel in one transaction; what is left at a deadline ends by the next
reconcile, whoever does it: the agent in time, else the verb that waits (`netshare.operations.draining`).
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from netshare.core.draining import Cause, Drain, begun, by_key, drain_of
from netshare.core.model import Replica, ReplicaState
from netshare.errors import EngineUnreachableError, NetshareError
from netshare.host import Host
from netshare.operations.control import AgentControl, converge
from netshare.operations.replica import judged, named


@dataclass(frozen=True, slots=True)
class Drained:
    """The replicas of a service that were asked for, with their drains; ``ended`` are those taken back."""

    service: str
    drains: tuple[Drain, ...]
    ended: tuple[Drain, ...]
    changed: bool
    warnings: tuple[str, ...] = ()


def drain(
    host: Host,
    agent: AgentControl,
    name: str,
    words: Sequence[str],
    *,
    timeout: float | None = None,
    cause: Cause = Cause.HAND,
    resuming: Sequence[str] = (),
) -> Drained:
    """Give these replicas no new connection from now on, and those in ``resuming`` new ones again, in one transaction.

    ``timeout`` is for how many seconds what is open may go on (infinite: as long as it likes). Where there is none, it
    is what was said of the service or by the replica's label, or what was said when the drain began.

    Raises:
        NotFoundError: there is no such service or replica.
        EngineUnreachableError: the engine does not tell which replicas there are.
        NetshareError: it could not be done; the drains are what they were before.

    """
    with host.lock():
        service, replicas = judged(host, host.store.load(), name)
        before, now = tuple(host.drains.load()), host.drains.now()
        meant = [named(word, name, replicas) for word in words]
        back = [named(word, name, replicas) for word in resuming]
        _refuse_stopping(back, by_key(before), name)
        wanted = [
            drain_of(name, each, cause, now, now + (each.drain if timeout is None else timeout)) for each in meant
        ]
        left = [noted for noted in before if noted.key not in {(name, each.id) for each in back}]
        after = tuple(begun(left, wanted, is_new_deadline=timeout is not None))
        if after != before:
            host.drains.save(after)
    warnings = _commit(host, agent, before, after)
    noted = by_key(host.drains.load())
    return Drained(
        service.name,
        tuple(noted.get(each.key, each) for each in wanted),
        tuple(each for each in before if each not in left),
        after != before,
        (*warnings, *_of_gone(meant), *_of_none_left(host, name)),
    )


def resume(host: Host, agent: AgentControl, name: str, words: Sequence[str]) -> Drained:
    """Give these replicas new connections again; what was open goes on in either case.

    Raises:
        NetshareError: as for `drain`; or one of them is being stopped.

    """
    return drain(host, agent, name, (), resuming=words)


def _refuse_stopping(replicas: Iterable[Replica], drains: Mapping[tuple[str, str], Drain], service: str) -> None:
    for replica in replicas:
        noted = drains.get((service, replica.id))
        is_on_purpose = noted is not None and noted.cause is not Cause.STOP
        if replica.state is ReplicaState.DRAINING and not is_on_purpose:
            raise NetshareError(
                f"{replica.name} can't be taken in again: it was sent its stop signal",
                hint=f"start it again when it has ended: it is served as soon as it runs; `netshare status {service}` "
                "shows how it stands",
            )


def _commit(host: Host, agent: AgentControl, before: tuple[Drain, ...], after: tuple[Drain, ...]) -> tuple[str, ...]:
    try:
        problems = converge(host, agent)
    except NetshareError:
        _take_back(host, by_key(before), by_key(after))
        # The kernel may hold the change although a later stage (forwarding) failed; what matters is the first error.
        with suppress(NetshareError):
            converge(host, agent)
        raise
    return tuple(f"{problem.message} ({problem.hint})" if problem.hint else problem.message for problem in problems)


def _take_back(host: Host, before: Mapping[tuple[str, str], Drain], after: Mapping[tuple[str, str], Drain]) -> None:
    """Undo what was changed here, and nothing that others have changed since."""
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    with host.lock():
        now = by_key(host.drains.load())
        for key in changed:
            if now.get(key) == after.get(key):
                now.pop(key, None)
                now |= {key: before[key]} if key in before else {}
        host.drains.save(tuple(now.values()))


def _of_gone(replicas: Iterable[Replica]) -> list[str]:
    return [
        f"{replica.name} is gone already ({replica.reason}); started again, it gets nothing until it is resumed"
        for replica in replicas
        if replica.state is ReplicaState.GONE
    ]


def _of_none_left(host: Host, name: str) -> list[str]:
    """Say so where nobody is left to take new connections."""
    try:
        service, replicas = judged(host, host.store.load(), name)
    except EngineUnreachableError:  # since just now: what was asked for is done
        return []
    if any(replica.offers(listener) and replica.weight for replica in replicas for listener in service.listeners):
        return []
    return [f"no other replica of {name} takes connections: new ones are refused until one does"]

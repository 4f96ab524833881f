"""Waiting until a service's replicas take traffic."""

from collections.abc import Callable
from dataclasses import dataclass

from netshare.core.model import Replica, ReplicaState, Service
from netshare.errors import NotFoundError, WaitTimeoutError
from netshare.host import Host
from netshare.known import engines_of
from netshare.netfilter.driver import Observation
from netshare.operations.control import AgentControl, Clock
from netshare.operations.traffic import against_kernel, from_kernel, held_by
from netshare.reconcile import Prepared, prepare, reconcile

INTERVAL = 0.2


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a wait stands."""

    name: str
    seconds: float
    timeout: float
    replicas: tuple[Replica, ...]


Progress = Callable[[Waiting], None]


def look(host: Host, agent: AgentControl, name: str) -> tuple[Replica, ...]:
    """Give a service's replicas as the kernel serves them; with no agent to follow what changed, follow it here."""
    definitions = host.store.load()
    service = definitions.get(name)
    if service is None:
        raise NotFoundError(f"{name} was detached in the meantime", hint="attach it again if that was not meant")
    if agent.pid() is not None:
        prepared = prepare(host, definitions)
        held = held_by(prepared.observation)
    else:
        prepared = reconcile(host)
        held = held_by(Observation(prepared.change.after, intact=True))
    item = next((item for item in prepared.services if item.service.name == name), None)
    if item is not None:
        return against_kernel(item, held)
    return from_kernel(service, held, silence(service, host, prepared))


def silence(service: Service, host: Host, prepared: Prepared) -> str:
    """Say whose silence leaves a service's replicas unknown."""
    if service.name in prepared.impossible:
        return prepared.impossible[service.name].message
    if service.name in prepared.stuck:
        return "its rollout can't be read: this is what the kernel holds"
    *others, last = (name for name in engines_of(service, host.engines) if name in prepared.silent)
    verb = "do" if others else "does"
    return f"{' and '.join([*others, last])} {verb} not answer: this is what the kernel holds"


def wait_for_traffic(
    look: Callable[[], tuple[Replica, ...]],
    name: str,
    timeout: float,
    clock: Clock,
    progress: Progress,
) -> tuple[Replica, ...]:
    """Look again and again until some replica takes traffic.

    Raises:
        WaitTimeoutError: none did in time; it says why of each.

    """
    start = clock.monotonic()
    while True:
        replicas = look()
        if any(replica.state is ReplicaState.READY and replica.weight for replica in replicas):
            return replicas
        seconds = clock.monotonic() - start
        if seconds >= timeout:
            raise _timed_out(name, timeout, replicas)
        progress(Waiting(name, seconds, timeout, replicas))
        clock.sleep(min(INTERVAL, timeout - seconds))


def _timed_out(name: str, timeout: float, replicas: tuple[Replica, ...]) -> WaitTimeoutError:
    why = (
        "; ".join(f"{r.name} is {r.state}: {r.reason or f'its weight is {r.weight}'}" for r in replicas)
        or "there is none"
    )
    return WaitTimeoutError(
        f"no replica of {name} takes traffic after {timeout:g} s: {why}",
        hint=f"the definition stays, so a replica is served as soon as it is ready and `netshare agent` runs; "
        f"`netshare status {name}` shows how it stands, `netshare detach {name}` takes it back",
    )

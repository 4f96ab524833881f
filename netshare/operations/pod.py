"""``pod``: replicas that share one network namespace and one port, by SO_REUSEPORT; `netshare.core.pods` tells how.

What there is, the engines are asked each time; nothing is kept, and the kernel is not programmed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from netshare.core import pods
from netshare.core.model import Listener, Service
from netshare.core.parse import shown
from netshare.core.pods import Member, Pod, Published
from netshare.engine.pods import PodEngine, Replica, Sandbox
from netshare.engine.silence import as_one
from netshare.errors import EngineUnreachableError, NetshareError, NotFoundError, PortConflictError, UsageError
from netshare.operations.control import Clock

REPLICA_VARIABLE = "NETSHARE_REPLICA"
"""Tells a replica its own name: those of a pod share the host name as well, the sandbox's."""

_SETTLE_SECONDS = 1.0
"""How long new replicas are watched: one that can't share the port ends when it tries to listen."""
_LOOK_SECONDS = 0.1

_NOTHING_TO_PUBLISH = ("host", "none")

Engines = Mapping[str, PodEngine]


@dataclass(frozen=True, slots=True)
class Created:
    """A pod as it is, and whether anything had to be done for that."""

    pod: Pod
    changed: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddRequest:
    """The words of a ``pod add``."""

    pod: str
    image: str
    count: int = 1
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Added:
    """A pod as it is, and who is new."""

    pod: Pod
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Removed:
    """Which containers are gone, and the pod that is left, if it is."""

    name: str
    containers: tuple[str, ...]
    left: Pod | None


def list_pods(engines: Engines) -> tuple[Pod, ...]:
    """List the pods of all engines that this host has."""
    found: list[Pod] = []
    absent: list[EngineUnreachableError] = []
    for engine in engines.values():
        try:
            found.extend(pods.pods(engine.name, engine.members()))
        except EngineUnreachableError as error:
            if not error.absent:
                raise
            absent.append(error)
    if absent and len(absent) == len(engines):
        raise as_one(absent)
    return tuple(sorted(found, key=lambda pod: (pod.name, pod.engine)))


def find(engines: Engines, name: str) -> Pod:
    """Find a pod.

    Raises:
        NotFoundError: there is none.
        UsageError: two engines have one of that name.

    """
    there = list_pods(engines)
    found = [pod for pod in there if pod.name == name]
    match found:
        case [pod]:
            return pod
        case []:
            near = get_close_matches(name, [pod.name for pod in there], n=3)
            meant = f"did you mean {' or '.join(near)}? " if near else ""
            raise NotFoundError(
                f"no pod is called {name}", hint=f"{meant}`netshare pod create {name} --publish 80:8080` makes one"
            )
    named = " and ".join(pod.engine for pod in found)
    raise UsageError(f"{named} both have a pod {name}", hint=f"say which is meant with --engine {found[0].engine}")


def create(engines: Engines, services: Iterable[Service], sandbox: Sandbox) -> Created:
    """Make a pod, start one that was stopped, or leave one that runs as it is.

    Raises:
        PortConflictError: a service or anybody else has one of the ports.
        NetshareError: the pod is there with other ports, or the engine refuses.

    """
    if sandbox.network in _NOTHING_TO_PUBLISH:
        raise UsageError(
            f"no port can be published of a sandbox on --network {sandbox.network}",
            hint="leave it out, or name a bridge network",
        )
    wanted = replace(sandbox, published=_distinct(sandbox.published))
    existing = next((pod for pod in list_pods(engines) if pod.name == wanted.pod), None)
    if existing is not None:
        return _start_again(engines[existing.engine], existing, wanted.published)
    _check_services(wanted.published, services)
    engine = _first_present(engines)
    if wanted.image is not None:
        engine.require_image(wanted.image)
    warnings = engine.start_sandbox(wanted)
    return Created(find({engine.name: engine}, wanted.pod), changed=True, warnings=warnings)


def add(engines: Engines, request: AddRequest, clock: Clock) -> Added:
    """Start more replicas of a pod; those that were started stay if a later one can't be.

    Raises:
        NotFoundError: there is no such pod or image.
        NetshareError: the pod's sandbox does not run, a name is taken, or a replica ended at once.

    """
    pod = find(engines, request.pod)
    engine = engines[pod.engine]
    if pod.sandbox is None or not pod.sandbox.is_running:
        raise _without_sandbox(pod)
    engine.require_image(request.image)
    names = pods.replica_names(pod.name, (replica.name for replica in pod.replicas), request.count)
    started: list[str] = []
    for name in names:
        variables = ((REPLICA_VARIABLE, name), *request.environment)
        replica = Replica(pod.name, name, request.image, request.command, variables)
        try:
            started.append(engine.start_replica(replica))
        except NetshareError as error:
            before = f" ({', '.join(names[: len(started)])} run)" if started else ""
            raise type(error)(f"{error.message}{before}", hint=error.hint) from error
    _watch(engine, pod.name, frozenset(started), clock)
    return Added(find({engine.name: engine}, pod.name), names)


def remove(engines: Engines, name: str, replica: str | None, grace: float) -> Removed:
    """Stop and remove one replica, or all of a pod: replicas first, the sandbox last.

    Raises:
        NotFoundError: there is no such pod or replica.

    """
    pod = find(engines, name)
    engine = engines[pod.engine]
    if replica is not None:
        gone: tuple[Member, ...] = (_named(replica, pod),)
    else:
        gone = (*pod.replicas, *([pod.sandbox] if pod.sandbox else []))
    for member in gone:
        engine.remove(member, grace)
    left = None if replica is None else find({engine.name: engine}, name)
    return Removed(name, tuple(member.name for member in gone), left)


def _distinct(published: tuple[Published, ...]) -> tuple[Published, ...]:
    wanted = tuple(dict.fromkeys(published))
    if not wanted:
        raise UsageError(
            "a pod without a published port can't be reached",
            hint="say which: --publish 80:8080 leads the host's port 80 to the replicas' 8080",
        )
    for number, each in enumerate(wanted):
        for other in wanted[:number]:
            if (each.port, each.protocol, each.address) == (other.port, other.protocol, other.address):
                raise UsageError(
                    f"--publish {other} and --publish {each} are for one port of the host",
                    hint="publish each port once; replicas share it by SO_REUSEPORT",
                )
    return wanted


def _start_again(engine: PodEngine, pod: Pod, wanted: tuple[Published, ...]) -> Created:
    if pod.sandbox is None:
        raise _without_sandbox(pod)
    if set(pod.sandbox.published) != set(wanted):
        raise NetshareError(
            f"pod {pod.name} is there already and publishes {', '.join(map(str, pod.sandbox.published))}",
            hint=f"its ports are fixed when it is made: netshare pod remove {pod.name}, and make it anew",
        )
    if pod.sandbox.is_running:
        return Created(pod, changed=False)
    engine.start(pod.sandbox)
    for replica in pod.replicas:
        engine.restart(replica, 0)  # what it had was in the namespace that is gone
    return Created(find({engine.name: engine}, pod.name), changed=True)


def _check_services(published: Iterable[Published], services: Iterable[Service]) -> None:
    """Refuse a port that a service has: netshare's DNAT comes before the engine's, and the pod would get nothing."""
    attached = tuple(services)
    for each in published:
        wanted = Listener(each.port, each.protocol, each.address)
        for service in attached:
            for listener in service.listeners:
                shared = None in (listener.address, wanted.address) or listener.address == wanted.address
                if shared and (listener.port, listener.protocol) == (wanted.port, wanted.protocol):
                    raise PortConflictError(
                        f"{wanted} belongs to service {service.name}",
                        hint=f"publish another port, or first: netshare detach {service.name} {each.port}"
                        f"/{each.protocol}",
                    )


def _first_present(engines: Engines) -> PodEngine:
    """Pick the engine for a new pod: the first that this host has."""
    absent: list[EngineUnreachableError] = []
    for engine in engines.values():
        try:
            engine.members()
        except EngineUnreachableError as error:
            if not error.absent:
                raise
            absent.append(error)
        else:
            return engine
    raise as_one(absent)


def _watch(engine: PodEngine, pod: str, started: frozenset[str], clock: Clock) -> None:
    """See that new replicas live: one without SO_REUSEPORT can't listen where another does."""
    deadline = clock.monotonic() + _SETTLE_SECONDS
    while clock.monotonic() < deadline:
        for member in engine.members():
            if member.id in started and not member.is_running:
                words = engine.last_words(member.id)
                said = f": {words}" if words else ""
                raise NetshareError(
                    f"{member.name} ended at once ({member.detail or member.status}){said}",
                    hint="every replica has to set SO_REUSEPORT before it listens, and all have to run as one user; "
                    f"`{engine.name} logs {member.name}` tells more; then netshare pod remove {pod} {member.name}",
                )
        clock.sleep(_LOOK_SECONDS)


def _without_sandbox(pod: Pod) -> NetshareError:
    if pod.sandbox is None:
        return NetshareError(
            f"pod {pod.name} has lost its sandbox: another hand removed {pods.sandbox_name(pod.name)}",
            hint=f"its replicas have no network any more: netshare pod remove {pod.name}, and make it anew",
        )
    again = " ".join(f"--publish {each}" for each in pod.sandbox.published)
    return NetshareError(
        f"the sandbox of pod {pod.name} does not run: {pod.sandbox.detail or pod.sandbox.status}",
        hint=f"start the pod again: netshare pod create {pod.name} {again}",
    )


def _named(word: str, pod: Pod) -> Member:
    """Find a replica by its name, or the beginning of its id."""
    for replica in pod.replicas:
        if replica.name == word:
            return replica
    found = [replica for replica in pod.replicas if word and replica.id.startswith(word)]
    match found:
        case [one]:
            return one
        case []:
            raise NotFoundError(
                f"pod {pod.name} has no replica {shown(word)}",
                hint=f"`netshare pod status {pod.name}` shows its replicas",
            )
    raise NotFoundError(
        f"several replicas of pod {pod.name} have an id that begins with {word}",
        hint=f"say more of it, or a name: {', '.join(replica.name for replica in found)}",
    )

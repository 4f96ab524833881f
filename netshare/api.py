"""netshare for Python programs: the verbs as functions, with results and exceptions in place of words and exit codes.

``import netshare`` has all of it: ``netshare.attach("web", 80)``. Each function calls the very operation that the verb
of its name calls, so what one does the other sees. Each opens what it needs and closes it again, and may be called from
any thread. Words are checked like those of the command line. Nothing is printed.

What is here is stable: parameters and fields of results are added, and none is renamed or removed within a major
version. Every failure is a `netshare.NetshareError` with ``message`` and ``hint``, and has one kind an exit code.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netshare import wiring
from netshare.core import checks, parse
from netshare.core.model import FailMode, Service
from netshare.errors import NetshareError, UsageError
from netshare.runtime.capabilities import require_net_admin

if TYPE_CHECKING:
    from netshare.host import Host
    from netshare.operations.apply import Applied
    from netshare.operations.attach import Attached
    from netshare.operations.detach import Detached
    from netshare.operations.drain import Drained
    from netshare.operations.health_request import HealthRequest
    from netshare.operations.listing import Listing
    from netshare.operations.rollout import Progress, Rolled, Tools
    from netshare.operations.status import Status
    from netshare.operations.weight import Weighed
    from netshare.runtime.agent import AgentClient


@dataclass(frozen=True, slots=True)
class _Machine:
    """This host and its agent, for one call."""

    host: "Host"
    agent: "AgentClient"


@contextmanager
def _machine(verb: str | None = None) -> Iterator[_Machine]:
    """Open this host; refuses at once what ``verb`` would be refused later."""
    if verb is not None:
        require_net_admin(verb)
    with wiring.opened_host() as host:
        yield _Machine(host, wiring.agent_control())


def attach(
    name: str,
    port: int | str,
    *,
    to: int | None = None,
    listen: Sequence[str] = (),
    select: Mapping[str, str] | None = None,
    network: str | None = None,
    engine: str | None = None,
    endpoints: Sequence[str] = (),
    strategy: str | None = None,
    weights: Mapping[str, int] | None = None,
    health: str | None = None,
    fail: str | None = None,
    drain: str | float | None = None,
    driver: str | None = None,
    force: bool = False,
    wait: bool = True,
    timeout: float = 60.0,
) -> "Attached":
    """Put the replicas of a service behind a port of this host; ``port`` is a number, or as in ``"53/udp"``.

    What is not said stays as it is, for a service that is there. ``health`` says all of a check, as in
    ``"http:/up interval=1s fall=2"``. ``drain`` is seconds, or ``"none"``. With ``wait`` it returns when a replica
    takes traffic, within ``timeout`` seconds; a port that replicas take no connection on is then among the warnings.

    Raises:
        PortConflictError: somebody has the port; ``force`` takes it.
        NotFoundError: nothing matches ``name``; without ``wait`` it is attached in advance.
        WaitTimeoutError: no replica took traffic in time; the definition stays.
        NetshareError: anything else; the definitions are what they were before.

    """
    from netshare.operations import attach as operation
    from netshare.operations.answering import with_answers
    from netshare.operations.request import AttachRequest

    number, protocol = parse.port_and_protocol(str(port))
    request = AttachRequest(
        name=parse.service_name(name),
        port=number,
        protocol=protocol,
        to=None if to is None else parse.port_number(str(to)),
        listen=tuple(map(parse.listen_address, listen)),
        select=tuple(parse.label_selector(f"{key}={value}") for key, value in (select or {}).items()),
        network=None if network is None else parse.network_name(network),
        engine=None if engine is None else parse.engine(engine),
        endpoints=tuple(map(parse.endpoint, endpoints)),
        strategy=None if strategy is None else parse.strategy(strategy),
        driver=None if driver is None else parse.driver(driver),
        weights=tuple((parse.replica_name(each), parse.weight(str(w))) for each, w in (weights or {}).items()),
        health=_health(health, fail),
        drain=None if drain is None else _seconds(drain),
        force=force,
        wait=wait,
        timeout=timeout,
    )
    with _machine("attach") as here:
        attached = operation.attach(
            here.host, here.agent, wiring.sockets(), request, clock=time, progress=lambda _: None
        )
        return with_answers(attached, wiring.probe(), time) if wait else attached


def detach(name: str, port: int | str | None = None) -> "Detached":
    """Remove a service's listeners on a port, or all of them with the service.

    Raises:
        NotFoundError: there is no such service, or it has no listener there.
        NetshareError: anything else; the definitions are what they were before.

    """
    from netshare.operations import detach as operation

    listener = None if port is None else parse.port_and_protocol(str(port))
    with _machine("detach") as here:
        return operation.detach(here.host, here.agent, parse.service_name(name), listener)


def list_services() -> "Listing":
    """List the services, as ``netshare list`` does; also called ``netshare.list``. Any user may.

    Raises:
        NotPermittedError: the definitions may not be read.

    """
    from netshare.operations import listing as operation

    with _machine() as here:
        return operation.list_services(here.host, here.agent)


def status(name: str | None = None) -> "Status":
    """Look at every service with its replicas and connections, or at one.

    Raises:
        NotFoundError: there is no service of that name.
        NetshareError: the kernel can't be asked.

    """
    from netshare.operations import status as operation

    checked = None if name is None else parse.service_name(name)
    with _machine("status") as here:
        return operation.status(here.host, here.agent, wiring.connections(), checked)


def weight(name: str, replica: str, share: int) -> "Weighed":
    """Give a replica another share of the new connections, 0 (none) to 256; open ones stay where they are.

    Raises:
        NotFoundError: there is no such service or replica.
        NetshareError: anything else; the definitions are what they were before.

    """
    from netshare.operations import weight as operation

    words = parse.service_name(name), parse.replica_name(replica), parse.weight(str(share))
    with _machine("weight") as here:
        return operation.weigh(here.host, here.agent, *words)


def drain(name: str, *replicas: str, timeout: str | float | None = None, wait: bool = False) -> "Drained":
    """Give replicas no new connection, while those that are open go on for a time.

    ``timeout`` is seconds, or ``"none"``: as long as they like. With ``wait`` it returns when no connection is left.

    Raises:
        WaitTimeoutError: with ``wait``: connections were left at the deadline, and cut.
        NotFoundError: there is no such service or replica.
        NetshareError: anything else.

    """
    from netshare.operations import drain as operation
    from netshare.operations import draining

    seconds = None if timeout is None else _seconds(timeout)
    service, words = parse.service_name(name), [parse.replica_name(word) for word in replicas]
    with _machine("drain") as here:
        drained = operation.drain(here.host, here.agent, service, words, timeout=seconds)
        if wait:
            connections = wiring.connections()
            ended = draining.wait(
                here.host, here.agent, connections, drained.drains, clock=time, progress=lambda _: None
            )
            for problem in (problem for each in ended for problem in draining.problems(each)):
                raise problem
        return drained


def resume(name: str, *replicas: str) -> "Drained":
    """Give drained replicas new connections again.

    Raises:
        NotFoundError: there is no such service or replica.
        NetshareError: anything else.

    """
    from netshare.operations import drain as operation

    service, words = parse.service_name(name), [parse.replica_name(word) for word in replicas]
    with _machine("resume") as here:
        return operation.resume(here.host, here.agent, service, words)


def rollout(
    name: str,
    *,
    image: str | None = None,
    batch: int | None = None,
    surge: int | None = None,
    canary: int | None = None,
    pause: str | float | None = None,
    drain: str | float | None = None,
    timeout: float = 120.0,
    progress: "Callable[[Progress], None] | None" = None,
) -> "Rolled":
    """Replace every replica of a service by a new one, with no failed request; returns when all are new.

    ``canary`` is the share in per cent, 1 to 99, that the first ones get before it pauses; ``pause`` is seconds, or
    ``"promote"``: until `promote_rollout` is called elsewhere. New ones may take ``timeout`` seconds to become well.
    ``progress`` is called, in this thread, with each thing done, and again and again while something is waited for.
    What it raises ends the call and leaves the rollout as it stands, and so does KeyboardInterrupt: `resume_rollout`
    goes on with it, `abort_rollout` takes it back.

    Raises:
        WaitTimeoutError: a new replica did not become well in time; all was taken back.
        NotFoundError: there is no such service, or no such image.
        NetshareError: anything else: it can't be begun, or was taken back, or, as its hint says, stays as it stands.

    """
    from netshare.core import pods
    from netshare.operations import rolling
    from netshare.operations.rollout import Request

    request = Request(
        parse.service_name(name),
        None if image is None else pods.image_name(image),
        None if batch is None else parse.replicas(str(batch), "batch"),
        None if surge is None else parse.replicas(str(surge), "surge"),
        parse.duration(f"{timeout}s"),
        None if drain is None else _seconds(drain),
        None if canary is None else parse.share(str(canary)),
        None if pause is None else parse.pause(pause if isinstance(pause, str) else f"{pause}s"),
    )
    with _rolling(progress) as tools:
        rolled = rolling.begin(tools, request)
    return _completed(rolled)


def promote_rollout(name: str, *, progress: "Callable[[Progress], None] | None" = None) -> "Rolled":
    """Let a rollout go on that has paused; returns when it is over.

    Raises:
        NotFoundError: there is no rollout of that service.
        NetshareError: as for `rollout`.

    """
    from netshare.operations import rolling

    with _rolling(progress) as tools:
        rolled = rolling.promote(tools, parse.service_name(name))
    return _completed(rolled)


def resume_rollout(name: str, *, progress: "Callable[[Progress], None] | None" = None) -> "Rolled":
    """Go on with a rollout that was interrupted; returns when it is over.

    Raises:
        NotFoundError: there is no rollout of that service.
        NetshareError: as for `rollout`; or somebody drives it already.

    """
    from netshare.operations import rolling

    with _rolling(progress) as tools:
        rolled = rolling.resume(tools, parse.service_name(name))
    return _completed(rolled)


def abort_rollout(name: str, *, progress: "Callable[[Progress], None] | None" = None) -> "Rolled":
    """Take a rollout back; returns when the old replicas serve as before and none of the new ones is left.

    Raises:
        NotFoundError: there is no rollout of that service.
        NetshareError: all is new already, or it can't go on now and stays as it stands.

    """
    from netshare.operations import rolling

    with _rolling(progress) as tools:
        return rolling.abort(tools, parse.service_name(name))


@dataclass(frozen=True, slots=True)
class _Telling:
    """Tells how a rollout goes."""

    progress: "Callable[[Progress], None] | None"

    def said(self, what: str) -> None:
        """Something was done."""
        self._tell(what, is_waiting=False, detail="")

    def waits(self, what: str, detail: str = "") -> None:
        """Something is waited for; ``detail`` changes from moment to moment."""
        self._tell(what, is_waiting=True, detail=detail)

    def _tell(self, what: str, *, is_waiting: bool, detail: str) -> None:
        from netshare.operations.rollout import Progress

        if self.progress is not None:
            self.progress(Progress(what, is_waiting, detail))


@contextmanager
def _rolling(progress: "Callable[[Progress], None] | None") -> "Iterator[Tools]":
    require_net_admin("rollout")
    with wiring.opened_rollout_tools(_Telling(progress)) as tools:
        yield tools


def _completed(rolled: "Rolled") -> "Rolled":
    """Give a rollout that has come to its end; one that somebody took back meanwhile has failed whoever drove it."""
    from netshare.operations.rollout import Outcome

    if rolled.outcome is Outcome.TAKEN_BACK:
        raise NetshareError(f"the rollout of {rolled.service} was taken back, as was asked", hint="begin anew")
    return rolled


def apply(
    services: str | Path | Iterable[Service], *, prune: bool = False, force: bool = False, dry_run: bool = False
) -> "Applied":
    """Bring the definitions to a file, or to these services: all of them or none.

    Raises:
        DefinitionError: the file, or one of the services, is not sound.
        PortConflictError: somebody has a port; ``force`` takes it.
        NetshareError: anything else; the definitions are what they were before.

    """
    from netshare.operations import apply as operation
    from netshare.store import services_file

    if isinstance(services, str | Path):
        wanted = services_file.load(Path(services))
    else:
        wanted = services_file.checked(services, "the list of services")
    with _machine("apply") as here:
        return operation.apply(
            here.host, here.agent, wiring.sockets(), wanted, prune=prune, force=force, is_dry=dry_run
        )


def sync() -> "Status":
    """Bring the kernel up to date once, and look at what became of it.

    Raises:
        NetshareError: the kernel refused; it holds what it held before.

    """
    from netshare.operations import sync as operation

    with _machine("sync") as here:
        return operation.sync(here.host, here.agent, wiring.connections())


def _health(words: str | None, fail: str | None) -> "HealthRequest":
    from netshare.operations.health_request import HealthRequest

    mode: FailMode | None = None if fail is None else checks.fail_mode(fail)
    if words is None:
        return HealthRequest(fail=mode)
    check = checks.health_check(words)
    if not check.is_probed:
        return HealthRequest(check, fail=mode)
    return HealthRequest(check, check.interval, check.timeout, check.rise, check.fall, check.host, mode)


def _seconds(time: str | float) -> float:
    if isinstance(time, str):
        return parse.drain(time)
    if not time >= 0:
        raise UsageError(f"{time} is no time to drain", hint='give seconds, or "none"')
    return float(time)

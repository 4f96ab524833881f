"""``demo``: the main job in a lab on the real kernel, by the same code as every verb, measured step by step.

Host, client and replicas are network namespaces of this process's own, definitions and lock lie in a temporary
directory, and no engine is asked: nothing of the machine is touched. Whatever netshare does to the lab's host, it does
from a thread inside that host's namespace, where the adapters open their sockets.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from netshare.core.model import Endpoint, ReplicaState, StaticEndpoint
from netshare.errors import NetshareError
from netshare.host import Host
from netshare.lab.privileges import gain_privileges
from netshare.lab.topology import Lab, LabReplica
from netshare.lab.traffic import Load, send
from netshare.netfilter.rivals import Sockets
from netshare.operations.attach import Attached, attach
from netshare.operations.control import AgentControl, Clock
from netshare.operations.demo_steps import Alone, Built, Held, Place, Removed, Replaced, Served, Share, Spread, Step
from netshare.operations.request import AttachRequest
from netshare.operations.rules import rules

SERVICE = "web"
PORT = 80
REQUESTS = 300
REQUESTS_ALONE = 100

_RATE = 500.0  # a second: enough to notice a gap of milliseconds
_PHASE = 200  # new connections before, between and after the changes
_MOST = 10_000  # 20 s at that rate: the load ends, whatever becomes of the demo
_CONCURRENCY = 8
_TIMEOUT = 5.0  # patience with a busy machine
_INTERVAL = 0.005
_QUIET = 0.1

_SELF = Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class Adapters:
    """What `attach` is handed for the lab's host; ``close`` frees the sockets they hold there."""

    host: Host
    agent: AgentControl
    sockets: Sockets
    close: Callable[[], None]


def demo(adapters: Callable[[Path], Adapters], clock: Clock) -> Generator[Step, None, None]:
    """Run it, one step after the other; ``adapters`` makes them, with all files in a directory.

    To be called while the process has one thread. Ending it early (``close``) cleans up as well.

    Raises:
        NotPermittedError: this host allows neither network nor user namespaces.
        NetshareError: it ran, and something was not as promised.

    """
    gain_privileges()
    began = clock.monotonic()
    own = _network()
    problems: list[str] = []
    with (
        TemporaryDirectory(prefix="netshare-demo-") as directory,
        Lab(ipv6=False) as lab,
        closing(lab.host.run(adapters, Path(directory))) as own_adapters,
    ):
        for step in _Demo(lab, own_adapters, clock).steps(began):
            problems += step.problems()
            yield step
    left = _settled(lambda: len(_networks() - {own}), clock)
    removed = Removed(clock.monotonic() - began, left)
    yield removed
    if problems := [*problems, *removed.problems()]:
        raise NetshareError(
            f"not as promised: {'; '.join(problems)}",
            hint="run it again on an idle machine; if it persists, report it with all of the above",
        )


class _Demo:
    """The steps between building the lab and removing it."""

    def __init__(self, lab: Lab, adapters: Adapters, clock: Clock) -> None:
        self._lab = lab
        self._adapters = adapters
        self._clock = clock
        self._client = lab.client.namespace
        self._at = lab.at(PORT)

    def steps(self, began: float) -> Iterator[Step]:
        yield self._built(began)
        yield self._served()
        yield self._spread()
        yield self._replaced()
        yield Held(self._lab.host.run(rules, self._adapters.host).text)
        yield self._alone()

    def _built(self, began: float) -> Built:
        seconds = self._clock.monotonic() - began
        places = tuple(map(_place, self._lab.replicas.values()))
        return Built(seconds, self._lab.client.address, self._at, self._lab.network.address, places)

    def _served(self) -> Served:
        request = _request([replica.endpoint for replica in self._lab.replicas.values()])
        began = self._clock.monotonic()
        attached = self._attach(request)
        seconds = self._clock.monotonic() - began
        ready = sum(replica.state is ReplicaState.READY for replica in attached.replicas)
        return Served(request, seconds, attached.listeners, ready)

    def _spread(self) -> Spread:
        traffic = send(self._client, self._at, REQUESTS, concurrency=_CONCURRENCY, timeout=_TIMEOUT)
        places = tuple(map(_place, self._lab.replicas.values()))
        return Spread(self._at, self._lab.client.address, places, traffic)

    def _replaced(self) -> Replaced:
        """Drain and remove the first replica, then add another, with requests going on all the while."""
        replicas = list(self._lab.replicas.values())
        leaving, staying = replicas[0], replicas[1:]
        before = _count(replicas)
        with Load(self._client, self._at, total=_MOST, rate=_RATE, concurrency=_CONCURRENCY, timeout=_TIMEOUT) as load:
            self._let_through(replicas)
            began = self._clock.monotonic()
            self._attach(_request([replica.endpoint for replica in staying]))
            drained = self._wait_for_quiet(leaving) - began
            without = _count(replicas)
            self._let_through(replicas)
            self._lab.remove_replica(leaving.name)
            coming = self._lab.add_replica()
            replicas.append(coming)
            after = _count(replicas)
            self._attach(_request([replica.endpoint for replica in (*staying, coming)]))
            self._let_through(replicas)
            traffic = load.stop()
        end = _count(replicas)
        phases = [(before, without), (without, after), (after, end)]
        shares = tuple(Share(_place(r), *(late[r.name] - early[r.name] for early, late in phases)) for r in replicas)
        return Replaced(_place(leaving), _place(coming), drained, shares, traffic)

    def _alone(self) -> Alone:
        """Leave the host to itself: what forwards its packets then is the kernel and nothing else."""
        host = self._lab.host
        network = host.run(_network)
        host.run(self._adapters.close)
        with open(host.path, "rb"):  # noqa: PTH123 (a namespace lives on by a descriptor alone)
            host.close()
            threads = _settled(lambda: sum(each == network for each in _networks_of_threads()), self._clock)
            traffic = send(self._client, self._at, REQUESTS_ALONE, concurrency=_CONCURRENCY, timeout=_TIMEOUT)
        return Alone(threads, traffic)

    def _attach(self, request: AttachRequest) -> Attached:
        adapters = self._adapters
        return self._lab.host.run(
            attach,
            adapters.host,
            adapters.agent,
            adapters.sockets,
            request,
            clock=self._clock,
            progress=lambda _: None,
        )

    def _let_through(self, replicas: Sequence[LabReplica]) -> None:
        """Wait for a phase's worth of new connections."""
        wanted = _count(replicas).total() + _PHASE
        deadline = self._clock.monotonic() + _TIMEOUT
        while _count(replicas).total() < wanted and self._clock.monotonic() < deadline:
            self._clock.sleep(_INTERVAL)

    def _wait_for_quiet(self, replica: LabReplica) -> float:
        """Wait until a replica has had no connection for a while, and tell since when."""
        server = replica.server
        since = self._clock.monotonic()
        deadline, total = since + _TIMEOUT, server.connections_total
        while (now := self._clock.monotonic()) - since < _QUIET and now < deadline:
            self._clock.sleep(_INTERVAL)
            if server.connections_active or server.connections_total != total:
                since, total = self._clock.monotonic(), server.connections_total
        return since


def _place(replica: LabReplica) -> Place:
    return Place(replica.name, replica.endpoint)


def _request(endpoints: Sequence[Endpoint]) -> AttachRequest:
    return AttachRequest(SERVICE, PORT, endpoints=tuple(StaticEndpoint(e.address, e.port) for e in endpoints))


def _count(replicas: Sequence[LabReplica]) -> Counter[str]:
    """Ask every replica how many connections it was given so far."""
    return Counter({replica.name: replica.server.connections_total for replica in replicas})


def _settled(count: Callable[[], int], clock: Clock) -> int:
    """Count what is left once the kernel is done with it: a thread that was joined may still be about to exit."""
    deadline = clock.monotonic() + _TIMEOUT
    while (left := count()) and clock.monotonic() < deadline:
        clock.sleep(_INTERVAL)
    return left


def _network() -> str:
    return str(Path("/proc/thread-self/ns/net").readlink())


def _networks() -> set[str]:
    return set(_networks_of_threads())


def _networks_of_threads() -> Iterator[str]:
    """Name the network namespace of each thread of this process."""
    for task in _SELF.iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            yield str((task / "ns/net").readlink())

"""A host with a thousand replicas that come and go for as long as one likes, and what its agent needs meanwhile.

The kernel and the agent are real. The containers are an engine's that is simulated, but for two static replicas that
answer real requests all the while; the first of them takes the connections of all the others' addresses, too.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Self

from pyroute2 import IPRoute

from netshare import wiring
from netshare.core.model import Listener, Protocol, Service, StaticEndpoint
from netshare.errors import NetshareError, NotFoundError
from netshare.lab.conversation import FailureKind
from netshare.lab.topology import Lab
from netshare.lab.traffic import Load
from netshare.netfilter.nftables.driver import NftablesDriver
from netshare.operations.drain import drain, resume
from netshare.operations.weight import weigh
from netshare.reconcile import prepare
from netshare.runtime.agent import AgentClient
from tests.chaos.docker import Simulated, SimulatedDocker
from tests.chaos.world import BOUND, slots_of

EACH = 10
"""Replicas of a service."""
_FIRST_PORT, _OTHER, _METRICS = 10_000, 81, 9440
_POOL = int(IPv4Address("172.17.1.0")), 60_000
_NETWORK = "172.17.0.0/16"
_ROOT = Path(__file__).parents[2]


class Drifted(AssertionError):  # noqa: N818 (it is what has drifted, by name)
    """The kernel holds something else than it should."""


@dataclass(frozen=True, slots=True)
class Needed:
    """What the agent needs at one moment; memory in MB, processor time in seconds since it was started."""

    at: float
    memory: float
    descriptors: int
    threads: int
    processor: float


class Soak:
    """The host, from when it is entered. ``changes`` counts what was done to it."""

    def __init__(self, directory: Path, replicas: int, seed: int) -> None:
        self.changes = self.checks = 0
        self.needed: list[Needed] = []
        self._directory = directory
        self._services = [f"service-{number}" for number in range(max(1, replicas // EACH))]
        self._draw = random.Random(seed)  # noqa: S311 (to be replayed)
        self._made = 0
        self._running: dict[str, list[Simulated]] = {name: [] for name in self._services}
        self._drained: set[str] = set()
        self._weights: dict[str, int] = {}
        self._verb: Future[None] | None = None
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        """Build it."""
        try:
            self._build()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take it down."""
        self._cleanup.close()

    def _build(self) -> None:
        self._docker = SimulatedDocker(self._directory / "docker.sock")
        self._cleanup.callback(self._docker.down)
        self._lab = self._cleanup.enter_context(Lab(replicas=2, ipv6=False))
        answering = next(iter(self._lab.replicas.values()))
        answering.namespace.run(_own_network)
        self._lab.host.run(_route_network, str(answering.address))
        state, runtime = self._directory / "state", self._directory / "run"
        # What is no Podman answers there: so there is none.
        engines = {"DOCKER_HOST": self._docker.url, "CONTAINER_HOST": self._docker.url}
        os.environ |= engines
        self._driver = NftablesDriver()
        self._cleanup.callback(self._driver.close)
        made = wiring.host(state, runtime)
        self._host = replace(made, engines={"docker": made.engines["docker"]}, driver=self._driver)
        self._client = AgentClient(runtime)
        fixed = tuple(StaticEndpoint(each.address, 8080) for each in self._lab.replicas.values())
        self._host.store.save(Service("other", (Listener(_OTHER),), endpoints=fixed))
        for number, name in enumerate(self._services):
            listeners = (Listener(_FIRST_PORT + number, to=8080), Listener(_FIRST_PORT + number, Protocol.UDP, to=8080))
            self._host.store.save(Service(name, listeners, engine="docker", drain=2.0))
            for _ in range(EACH):
                self._run_one(name)
        environment = {
            **os.environ,
            **engines,
            "PYTHONPATH": str(_ROOT),
            "NETSHARE_STATE_DIR": str(state),
            "NETSHARE_RUNTIME_DIR": str(runtime),
        }
        self._log = self._directory / "agent.log"
        with self._log.open("wb") as log:
            self._agent = self._lab.host.popen(
                [sys.executable, "-P", "-m", "netshare", "agent", "--metrics", f"127.0.0.1:{_METRICS}"],
                stdin=subprocess.DEVNULL,
                stderr=log,
                env=environment,
            )
        self._cleanup.callback(self._end)
        while not (runtime / "agent.sock").exists():
            self._must_run()
            time.sleep(0.05)
        self.check()
        client = self._lab.client.namespace
        self._load = self._cleanup.enter_context(Load(client, self._lab.at(_OTHER), total=1 << 30, rate=20, timeout=10))

    # --- what happens -------------------------------------------------------------------------------------------------

    def change(self) -> None:
        """Change something; in nine cases of ten, containers."""
        name = self._draw.choice(self._services)
        chosen = self._draw.random()
        if chosen < 0.06 and self._verb is not None and not self._verb.done():
            chosen = 1.0
        if chosen < 0.03:
            self._weigh(name)
        elif chosen < 0.06:
            self._drain_or_resume(name)
        elif chosen < 0.2:
            one = self._draw.choice(self._running[name])
            health = self._draw.choice(("healthy", "unhealthy", "starting", ""))
            self._put(name, self._docker.change(one.id, f"health_status: {health}", health=health))
        else:
            self._replace_one(name)
        self.changes += 1

    def _replace_one(self, name: str) -> None:
        """Have a container stop for good, and another one start."""
        one = self._running[name].pop(self._draw.randrange(len(self._running[name])))
        self._docker.change(one.id, "kill", leaving=True)
        self._docker.change(one.id, "die", state="exited", leaving=False, health="")
        self._docker.drop(one.id, "destroy")
        self._drained.discard(one.name)
        self._run_one(name)

    def _run_one(self, name: str) -> None:
        self._made += 1
        first, many = _POOL
        address = str(IPv4Address(first + self._made % many))
        labels = (("com.docker.compose.project", "soak"), ("com.docker.compose.service", name))
        made = Simulated(f"{self._made:064x}", f"{name}-{self._made}", address, labels=labels)
        self._running[name].append(made)
        self._docker.put(made, "create", "start")

    def _put(self, name: str, changed: Simulated) -> None:
        self._running[name] = [changed if each.id == changed.id else each for each in self._running[name]]

    def _weigh(self, name: str) -> None:
        """Give one a weight, and take back those of replicas that are gone: a definition is not to grow."""
        one, weight = self._draw.choice(self._running[name]).name, self._draw.randint(0, 3)

        def done() -> None:
            with self._host.lock():
                stored = self._host.store.load().get(name)
                if stored is not None:
                    self._host.store.save(replace(stored, weights=()))
            self._weights = {each: w for each, w in self._weights.items() if not each.startswith(f"{name}-")}
            weigh(self._host, self._client, name, one, weight)
            self._weights[one] = weight

        self._begin(done)

    def _drain_or_resume(self, name: str) -> None:
        drained = [each.name for each in self._running[name] if each.name in self._drained]
        one = self._draw.choice(self._running[name]).name

        def done() -> None:
            if drained:
                resume(self._host, self._client, name, drained[:1])
                self._drained.discard(drained[0])
            else:
                drain(self._host, self._client, name, [one], timeout=3600)
                self._drained.add(one)

        self._begin(done)

    def _begin(self, verb: Callable[[], None]) -> None:
        """Have a verb done beside all else; one at a time, as each takes its time with a thousand replicas."""
        self._finish()

        def refused() -> None:
            with suppress(NotFoundError):  # its replica has gone meanwhile
                verb()

        self._verb = self._lab.host.start_thread(refused)

    def _finish(self) -> None:
        if self._verb is not None:
            self._verb.result()
            self._verb = None

    # --- what is looked at --------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Compare the kernel with a plan made from nothing, and with what was done here.

        Raises:
            Drifted: it holds something else.

        """
        self._must_run()
        self._finish()
        self._client.sync()
        began = time.monotonic()
        while not (found := self._lab.host.run(self._driver.observe)).intact or slots_of(found) != self._expected():
            if time.monotonic() - began < BOUND:
                time.sleep(0.1)  # an event may be on its way still
                continue
            held, wanted = slots_of(found), self._expected()
            differing = {port: (held.get(port), want) for port, want in wanted.items() if held.get(port) != want}
            raise Drifted(f"intact: {found.intact}; by port, held and wanted: {differing}; {self.said()}")
        self._client.sync()
        prepared = self._lab.host.run(prepare, self._host, self._host.store.load())
        if not prepared.change.is_empty:
            raise Drifted(f"a plan made anew differs: {prepared.change}")
        self.checks += 1

    def _expected(self) -> dict[int, set[str]]:
        wanted = {_OTHER: {str(each.address) for each in self._lab.replicas.values()}}
        for number, name in enumerate(self._services):
            able = [e for e in self._running[name] if e.name not in self._drained and self._weights.get(e.name, 1)]
            well = [each for each in able if each.health in ("", "healthy")]
            chosen = well or [each for each in able if each.health == "unhealthy"]
            wanted[_FIRST_PORT + number] = {each.address for each in chosen}
        return wanted

    def look(self) -> None:
        """Note what the agent needs."""
        self._must_run()
        own = Path(f"/proc/{self._agent.pid}")
        lines = (own / "status").read_text(encoding="ascii").splitlines()
        found = {key: value.split()[0] for key, _, value in (line.partition(":") for line in lines) if value.strip()}
        fields = (own / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        self.needed.append(
            Needed(
                time.monotonic(),
                int(found["VmRSS"]) * 1024 / 1e6,
                len(os.listdir(own / "fd")),  # noqa: PTH208 (to be counted)
                int(found["Threads"]),
                (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
            )
        )

    def scrape(self) -> int:
        """Read the metrics, as Prometheus does; gives their bytes."""

        def read() -> int:
            connection = HTTPConnection("127.0.0.1", _METRICS, timeout=60)
            connection.request("GET", "/metrics")
            size = len(connection.getresponse().read())
            connection.close()
            return size

        return self._lab.host.run(read)

    def files(self) -> int:
        """Sum up the bytes of all files of netshare's."""
        places = (self._directory / "state", self._directory / "run")
        return sum(path.stat().st_size for place in places for path in place.rglob("*") if path.is_file())

    def said(self) -> str:
        """Give the end of the agent's log."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def failed(self) -> tuple[int, Sequence[FailureKind]]:
        """End the requests; gives how many there were, and how some failed."""
        traffic = self._load.stop()
        return traffic.requests, [each.kind for each in traffic.failures]

    def _must_run(self) -> None:
        if self._agent.poll() is not None:
            raise NetshareError(f"the agent ended by itself, {self._agent.returncode}: {self.said()}")

    def _end(self) -> None:
        self._agent.send_signal(signal.SIGTERM)
        try:
            self._agent.wait(30)
        except subprocess.TimeoutExpired:
            self._agent.kill()
            self._agent.wait()


def _own_network() -> None:
    """Have all addresses of the simulated containers be this namespace's own."""
    with IPRoute() as netlink:
        (index,) = netlink.link_lookup(ifname="lo")
        netlink.route("add", dst=_NETWORK, oif=index, type="local", scope="host", table=255)


def _route_network(gateway: str) -> None:
    with IPRoute() as netlink:
        netlink.route("add", dst=_NETWORK, gateway=gateway)

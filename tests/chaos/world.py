"""A host to do anything to: the real kernel, real packets, the agent as a process, and an engine that can be killed.

What should be so is worked out here once more, in another way than netshare does, and compared with the kernel, with
who answers, and with what belongs to others. Needs a mount namespace of its own: its disk is small, to be filled.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from netshare import wiring
from netshare.core.model import IPTABLES, NFTABLES, Protocol, StaticEndpoint
from netshare.core.ruleset import Dispatch
from netshare.errors import NetshareError
from netshare.lab.conversation import Conversation, FailureKind
from netshare.lab.server import ReplicaServer
from netshare.lab.topology import Lab, LabReplica
from netshare.lab.traffic import Load, send
from netshare.netfilter.driver import Observation
from netshare.netfilter.flows import TrackedFlows
from netshare.netfilter.nftables.driver import NftablesDriver
from netshare.netfilter.sockets import ListeningSockets
from netshare.operations.attach import attach
from netshare.operations.detach import detach
from netshare.operations.drain import drain, resume
from netshare.operations.request import AttachRequest
from netshare.operations.weight import weigh
from netshare.reconcile import reconcile
from netshare.runtime.agent import AgentClient
from tests.chaos.docker import Simulated, SimulatedDocker
from tests.inside import host_drivers

BOUND = 30.0
"""Seconds in which the kernel has to follow, however busy the machine is; how soon it did is printed."""
_PATIENCE = 15.0
"""Seconds for an answer: what is dropped never comes, and a busy machine takes its time."""
PLACES = 8
WEB, DNS, OTHER, EXTRA = 80, 53, 81, 8000
_ROOT = Path(__file__).parents[2]
_NETSHARE = (sys.executable, "-P", "-m", "netshare")  # -P: not the one in the working directory
_FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
_FOREIGN = """\
table inet firewall {
    set blocked {
        type ipv4_addr
        elements = { 192.0.2.1, 192.0.2.2 }
    }
    chain input {
        type filter hook input priority filter; policy accept;
        ip saddr @blocked drop
    }
}
table ip nat {
    chain prerouting {
        type nat hook prerouting priority dstnat; policy accept;
        tcp dport 9999 dnat to 192.0.2.9:9
    }
}
"""


_FOREIGN_LEGACY = """\
*filter
:MINE - [0:0]
-F MINE
-A MINE -s 192.0.2.1/32 -j DROP
-A INPUT -j MINE
COMMIT
"""


class Broken(AssertionError):  # noqa: N818 (it is what was broken, by name)
    """What must hold does not."""


class World:
    """Everything there is. ``web`` and ``dns`` are of containers, ``other`` is static and nobody's business."""

    def __init__(self, directory: Path, code: Path = _ROOT, driver: str = NFTABLES) -> None:
        """``code`` is the directory of the package that runs as the agent, and as the verbs that are programs.

        ``driver`` is what programs the kernel.
        """
        self.driver_name = driver
        self.directory = directory
        self.code = code
        self.disk = directory / "disk"
        self.waits: list[float] = []
        self.kills = 0
        self.attached: set[str] = set()
        self.extra_ports: set[int] = set()
        self.weights: dict[str, int] = {}
        self.drained: set[str] = set()
        self.held_back: set[str] = set()
        self.flushed = False
        self.agent: subprocess.Popen[bytes] | None = None
        self._made = 0
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        """Build it, with what is attached and three replicas."""
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
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "none", self.disk], check=True)
        self._cleanup.callback(lambda: subprocess.run(["umount", "-l", self.disk], check=False))
        self.clock = self.directory / "clock"
        self.clock.write_text("+0")
        self.docker = SimulatedDocker(self.directory / "docker.sock")
        self._cleanup.callback(self.docker.down)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(self.code),
            "DOCKER_HOST": self.docker.url,
            "CONTAINER_HOST": self.docker.url,  # which is no Podman: so there is none
            "NETSHARE_STATE_DIR": str(self.disk / "state"),
            "NETSHARE_RUNTIME_DIR": str(self.disk / "run"),
            "NETSHARE_DRIVER": self.driver_name,
        }
        os.environ |= {key: self.environment[key] for key in ("DOCKER_HOST", "CONTAINER_HOST")}
        self.lab = self._cleanup.enter_context(Lab(replicas=PLACES + 2, ipv6=False))
        places = list(self.lab.replicas.values())
        self.places, self.fixed = places[:PLACES], places[PLACES:]
        self._servers: dict[str, ReplicaServer] = {}
        self._cleanup.callback(self._stop_servers)
        for place in self.places:
            place.server.stop()
        # Else the kernel sends a client no more than six refusals and then one a second.
        self.shell("sysctl", "-q", "-w", "net.ipv4.icmp_ratelimit=0")
        self.restore_foreign()
        native, flows = NftablesDriver(), TrackedFlows()
        self.driver = native if self.driver_name == NFTABLES else host_drivers(native, self.driver_name)
        made = wiring.host(self.disk / "state", self.disk / "run")
        self.host = replace(made, engines={"docker": made.engines["docker"]}, driver=self.driver, flows=flows)
        self.client = AgentClient(self.disk / "run")
        self._cleanup.callback(native.close)
        self._cleanup.callback(flows.close)
        self._cleanup.callback(self.end_agent, signal.SIGKILL)
        for service, port, protocol, to in (("web", WEB, Protocol.TCP, 8080), ("dns", DNS, Protocol.UDP, 8080)):
            self.attach(service, port, protocol, to)
        endpoints = tuple(StaticEndpoint(each.address, 8080) for each in self.fixed)
        self.attach("other", OTHER, Protocol.TCP, None, endpoints)
        for _ in range(3):
            self.start_container()
        self.start_agent()
        self.settle()
        self.foreign = self.foreign_rules()
        self.held = self._cleanup.enter_context(Conversation(self.lab.client.namespace, self.lab.at(OTHER)))
        self.held_by = self.held.ask().replica
        self.load()

    # --- containers ---------------------------------------------------------------------------------------------------

    def start_container(self, health: str = "") -> Simulated | None:
        """Run one more, where there is a place: its address may have been another's."""
        taken = {each.address for each in self.docker.containers().values() if each.state in ("running", "paused")}
        free = [place for place in self.places if str(place.address) not in taken]
        if not free:
            return None
        self._made += 1
        service = "web" if self._made % 3 else "dns"
        place = free[self._made % len(free)]
        made = Simulated(f"{self._made:064x}", f"{service}-{self._made}", str(place.address), health=health)
        self._serve(made.name, place)
        self.docker.put(made, "create", "start")
        return made

    def run_again(self, container: Simulated) -> None:
        """Start a container that has ended, where there is a place for it, which may be another."""
        taken = {each.address for each in self.docker.containers().values() if each.state in ("running", "paused")}
        free = [place for place in self.places if str(place.address) not in taken]
        if free:
            self._serve(container.name, free[0])
            self.docker.change(container.id, "start", state="running", leaving=False, address=str(free[0].address))

    def end_server(self, name: str) -> None:
        """End what a container runs."""
        server = self._servers.pop(name, None)
        if server is not None:
            server.stop()

    def _serve(self, name: str, place: LabReplica) -> None:
        self.end_server(name)
        self._servers[name] = ReplicaServer(name, place.namespace, 8080, ipv6=False)

    def _stop_servers(self) -> None:
        for name in list(self._servers):
            self.end_server(name)

    # --- the agent ----------------------------------------------------------------------------------------------------

    def start_agent(self) -> None:
        """Start it, unless it runs."""
        if self.agent is not None:
            return
        # Waiting for a program with a time-out ends with EINVAL there, and the iptables driver is made of programs.
        is_faked = bool(_FAKETIME) and self.driver_name == NFTABLES
        fake = {"LD_PRELOAD": str(_FAKETIME[0])} if is_faked else {}
        fake |= {"FAKETIME_TIMESTAMP_FILE": str(self.clock), "FAKETIME_NO_CACHE": "1"}
        fake |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
        with (self.directory / "agent.log").open("ab") as log:
            self.agent = self.lab.host.popen(
                [*_NETSHARE, "agent"], stdin=subprocess.DEVNULL, stderr=log, env=self.environment | fake
            )

    def sync(self) -> None:
        """Have the agent reconcile, however long it takes to start; where none runs, whoever waits does it."""
        began = time.monotonic()
        while self.agent is not None and not self.said(self.client.sync):
            if time.monotonic() - began > BOUND:
                raise Broken(f"the agent does not reconcile: {self.refusal}; {self.log()[-3000:]}")
            time.sleep(0.05)

    def end_agent(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it by a signal, if it runs; one that had ended by itself has crashed."""
        if self.agent is None:
            return
        agent, self.agent = self.agent, None
        if agent.poll() is not None and number is not signal.SIGKILL:
            raise Broken(f"the agent ended by itself, {agent.returncode}: {self.log()[-3000:]}")
        agent.send_signal(number)
        agent.wait(60)
        self.kills += number is signal.SIGKILL

    def log(self) -> str:
        """Give what agents said."""
        return (self.directory / "agent.log").read_text(encoding="utf-8", errors="replace")

    # --- verbs --------------------------------------------------------------------------------------------------------

    def attach(
        self,
        name: str,
        port: int,
        protocol: Protocol,
        to: int | None = 8080,
        endpoints: tuple[StaticEndpoint, ...] = (),
    ) -> bool:
        """Attach; whether it went well."""
        engine = None if endpoints else "docker"  # so that nobody waits for a Podman
        request = AttachRequest(name, port, protocol, to, engine=engine, endpoints=endpoints, wait=False)
        done = self.said(
            lambda: attach(self.host, self.client, ListeningSockets(), request, clock=time, progress=lambda _: None)
        )
        if done:
            self.attached.add(name)
        return done

    def detach(self, name: str) -> bool:
        """Detach; whether it went well."""
        done = self.said(lambda: detach(self.host, self.client, name))
        if done:
            self.attached.discard(name)
            self.weights = {each: w for each, w in self.weights.items() if not each.startswith(f"{name}-")}
            self.drained = {each for each in self.drained if not each.startswith(f"{name}-")}
            if name == "web":
                self.extra_ports.clear()
        return done

    def weigh(self, name: str, weight: int) -> bool:
        """Give a replica a weight; whether it went well."""
        done = self.said(lambda: weigh(self.host, self.client, name.split("-", maxsplit=1)[0], name, weight))
        if done:
            self.weights[name] = weight
        return done

    def drain(self, name: str) -> bool:
        """Take a replica out of rotation for an hour; whether it went well."""
        service = name.split("-", maxsplit=1)[0]
        done = self.said(lambda: drain(self.host, self.client, service, [name], timeout=3600))
        if done:
            self.drained.add(name)
        return done

    def resume(self, name: str) -> bool:
        """Put it in again; whether it went well."""
        done = self.said(lambda: resume(self.host, self.client, name.split("-", maxsplit=1)[0], [name]))
        if done:
            self.drained.discard(name)
        return done

    def said(self, verb: Callable[[], object]) -> bool:
        """Have a verb done on the host; a refusal of netshare's is an answer, and anything else is a crash."""
        self.refusal = ""
        try:
            self.lab.host.run(verb)
        except NetshareError as error:
            self.refusal = error.message
            return False
        return True

    def cli(self, *words: str) -> "subprocess.Popen[str]":
        """Start a verb as a program."""
        return self.lab.host.popen(
            [*_NETSHARE, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment,
            text=True,
        )

    def shell(self, *words: str, given: str | None = None) -> str:
        """Run a program on the host, which must go well."""
        return self.lab.host.run(
            lambda: subprocess.run(words, input=given, capture_output=True, text=True, check=True, timeout=60).stdout
        )

    # --- what should be so --------------------------------------------------------------------------------------------

    def served(self, service: str) -> dict[str, str]:
        """Say who is to be given new connections: names and addresses."""
        able = [
            each
            for name, each in self.docker.containers().items()
            if name.startswith(f"{service}-")
            and each.state == "running"
            and not each.leaving
            and name not in self.drained | self.held_back
            and self.weights.get(name, 1) > 0
        ]
        well = [each for each in able if each.health in ("", "healthy")]
        chosen = well or [each for each in able if each.health == "unhealthy"]
        return {each.name: each.address for each in chosen}

    def expected(self) -> dict[int, set[str]]:
        """Say which addresses each port leads to."""
        found = {OTHER: {str(each.address) for each in self.fixed}}
        for service, port in (("web", WEB), ("dns", DNS)):
            if service in self.attached:
                found[port] = set(self.served(service).values())
        return found | {port: found[WEB] for port in self.extra_ports if WEB in found}

    def observe(self) -> Observation:
        """Look at the kernel."""
        return self.lab.host.run(self.driver.observe)

    def slots(self) -> dict[int, set[str]]:
        """Say which addresses each port leads to in the kernel."""
        return slots_of(self.observe())

    def foreign_rules(self) -> str:
        """List what is not netshare's, to the byte."""
        tables = [line.split()[1:] for line in self.shell("nft", "list", "tables").splitlines()]
        others = [words for words in tables if words != ["inet", "netshare"]]
        native = "".join(self.shell("nft", "-s", "list", "table", *words) for words in others)
        return native + (self._foreign_legacy_rules() if self.driver_name == IPTABLES else "")

    def _foreign_legacy_rules(self) -> str:
        lines = self.shell("iptables-legacy-save").splitlines()
        return "\n".join(line for line in lines if line.startswith("-A") and "NETSHARE" not in line)

    def restore_foreign(self) -> None:
        """Do what another firewall's own service does."""
        self.shell("nft", "-f", "-", given=_FOREIGN)
        if self.driver_name == IPTABLES:
            self.shell("iptables-legacy-restore", "--noflush", given=_FOREIGN_LEGACY)

    def settle(self) -> None:
        """Wait until the kernel holds what it should, by the agent or, where none runs, by a sync."""
        if self.agent is None:
            self.lab.host.run(reconcile, self.host)
        wanted, began = self.expected(), time.monotonic()
        while (found := self.slots()) != wanted:
            if time.monotonic() - began > BOUND:
                raise Broken(f"the kernel did not follow: it has {found}, and not {wanted}; {self.log()[-3000:]}")
            if self.agent is not None and self.agent.poll() is not None:
                raise Broken(f"the agent ended by itself, {self.agent.returncode}: {self.log()[-3000:]}")
            time.sleep(0.01)
        self.waits.append(time.monotonic() - began)

    def check(self) -> None:
        """Compare everything that must hold with the kernel, and with who answers."""
        if not self.observe().intact:
            raise Broken("netshare's table is not as it was written")
        names = set(self.served("web")) if "web" in self.attached else set()
        got = send(self.lab.client.namespace, self.lab.at(WEB), 12, concurrency=4, timeout=_PATIENCE)
        if not set(got.answers) <= names:
            raise Broken(f"{sorted(set(got.answers) - names)} answered, and only {sorted(names)} are ready")
        if names and got.failures:
            raise Broken(f"requests failed with {sorted(names)} ready: {dict(got.failures_by_kind)}")
        if not names and set(got.failures_by_kind) - {FailureKind.REFUSED}:
            raise Broken(f"with nobody ready requests are to be refused: {dict(got.failures_by_kind)}")
        if (listed := self.foreign_rules()) != self.foreign:
            raise Broken(f"others' rules have changed:\n{listed}\ninstead of\n{self.foreign}")
        try:
            answered = self.held.ask().replica
        except OSError as error:
            raise Broken(f"a connection of another service was ended: {error}") from error
        if answered != self.held_by:
            raise Broken("a connection of another service was moved")

    def load(self) -> None:
        """Begin constant load, on the service that must never notice and on the one that is disturbed."""
        client = self.lab.client.namespace
        self.undisturbed, self.disturbed = (
            self._cleanup.enter_context(
                Load(client, self.lab.at(port), total=1 << 30, rate=40, concurrency=4, timeout=_PATIENCE)
            )
            for port in (OTHER, WEB)
        )

    def end_load(self, *, may_fail: bool) -> tuple[int, Mapping[FailureKind, int]]:
        """End it; gives how many requests there were to the disturbed service, and how they failed."""
        other, own = self.undisturbed.stop(), self.disturbed.stop()
        if other.failures and not may_fail:
            raise Broken(f"another service was disturbed: {dict(other.failures_by_kind)} of {other.requests}")
        with suppress(OSError):
            self.held.ask()
        return own.requests + other.requests, own.failures_by_kind


def slots_of(observation: Observation) -> dict[int, set[str]]:
    """Say which addresses each port leads to."""

    def addresses(dispatch: Dispatch) -> set[str]:
        return {str(endpoint.address) for endpoint in dispatch.slots}

    found: dict[int, set[str]] = {}
    for match, dispatch in observation.ruleset.dispatches.items():
        found.setdefault(match.port, set()).update(addresses(dispatch))
    return found

"""The bench that the sides are measured on: a client, a host, and replicas behind a bridge, each a network namespace.

What lies between the client and the replicas is a side's business (`scripts.benchmarks.sides`).
"""

import os
import socket
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTSocket

from netshare.core.model import Endpoint, Protocol
from netshare.lab.namespace import Namespace
from netshare.lab.topology import Lab
from scripts.benchmarks.native import Traffic
from scripts.benchmarks.processes import Process, accepts, run

REPLICAS = 10
_PROC_SYS_NET = Path("/proc/sys/net")
# Many connections in a short time, from a client that other sides served before: a port still in TIME_WAIT at a replica
# would make it answer some of them with a challenge, and cost the client a second (tcp_timewait_state_process).
_SYSCTLS = ("ipv4/ip_local_port_range", "1024 65535"), ("ipv4/tcp_max_tw_buckets", "0")

_NGINX = """\
daemon off; user root; worker_processes 1; pid {directory}/nginx.pid; error_log stderr;
events {{ worker_connections 16384; }}
http {{
    access_log off; keepalive_requests 100000000; default_type text/plain;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    server {{
{listen}
        location / {{ return 200 "$remote_addr\\n"; }}
    }}
}}
"""
_BACKLOG = 4096


class Kind(StrEnum):
    """What a side has to carry."""

    WEB = "web"
    BULK = "bulk"
    DATAGRAMS = "datagrams"

    @property
    def protocol(self) -> Protocol:
        """The transport protocol."""
        return Protocol.UDP if self is Kind.DATAGRAMS else Protocol.TCP

    @property
    def port(self) -> int:
        """The host's port."""
        return {Kind.WEB: 80, Kind.BULK: 5201, Kind.DATAGRAMS: 5300}[self]

    @property
    def replica_port(self) -> int:
        """The replicas' own port."""
        return {Kind.WEB: 8000, Kind.BULK: 5201, Kind.DATAGRAMS: 5300}[self]


@dataclass(frozen=True, slots=True)
class Front:
    """One of the host's ports, and where what comes there should go."""

    kind: Kind
    endpoints: tuple[Endpoint, ...]

    @property
    def port(self) -> int:
        """The host's port."""
        return self.kind.port

    @property
    def protocol(self) -> Protocol:
        """The transport protocol."""
        return self.kind.protocol


@dataclass(frozen=True, slots=True)
class Served:
    """What a side offers while it is up: where, to which client, and the processes of the host that do it."""

    client: Namespace
    at: Mapping[Kind, Endpoint]
    pids: tuple[int, ...] = ()
    replica_pids: tuple[int, ...] = ()


class Backend:
    """What answers for replicas: one nginx, one echo server, iperf3 in the first.

    Each of these is one process for all replicas, whose sockets it is handed, made in their namespaces. So another
    number of replicas changes the way to them and nothing else: three servers would wake up more often than one.
    """

    def __init__(self, name: str, replicas: Mapping[IPv4Address, Namespace], bed: "Bed", cleanup: ExitStack) -> None:
        directory = bed.directory / name
        directory.mkdir()
        listen = "\n".join(f"        listen {address}:{Kind.WEB.replica_port};" for address in replicas)
        config = directory / "nginx.conf"
        config.write_text(_NGINX.format(directory=directory, listen=listen), encoding="ascii")
        (address, namespace), *_ = replicas.items()
        web, datagrams = _sockets(Kind.WEB, replicas, cleanup), _sockets(Kind.DATAGRAMS, replicas, cleanup)
        self.processes = [
            Process(
                namespace,
                ["nginx", "-c", str(config), "-e", "stderr"],
                directory / "nginx.log",
                environment={"NGINX": "".join(f"{fd};" for fd in web)},  # its own way to hand sockets to a successor
                keep=web,
            ),
            Process(
                namespace, [bed.traffic.path, "echo", *map(str, datagrams)], directory / "echo.log", keep=datagrams
            ),
            Process(namespace, ["iperf3", "-s", "-p", str(Kind.BULK.replica_port)], directory / "iperf3.log"),
        ]
        for process in self.processes:
            cleanup.callback(process.stop)
        self.processes[2].wait_until(lambda: accepts(namespace, Endpoint(address, Kind.BULK.replica_port)))

    @property
    def pids(self) -> tuple[int, ...]:
        """Its processes."""
        return tuple(process.pid for process in self.processes)


def _sockets(kind: Kind, replicas: Mapping[IPv4Address, Namespace], cleanup: ExitStack) -> list[int]:
    """Make a socket at each replica's address; gives their descriptors."""
    sockets = []
    for address, namespace in replicas.items():
        transport = socket.SOCK_DGRAM if kind is Kind.DATAGRAMS else socket.SOCK_STREAM
        one = cleanup.enter_context(namespace.run(socket.socket, socket.AF_INET, transport))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((str(address), kind.replica_port))
        if kind is not Kind.DATAGRAMS:
            one.listen(_BACKLOG)
        sockets.append(one.fileno())
    return sockets


class Bed:
    """The lab and what runs in it for all sides, for as long as the ``with`` block lasts."""

    def __init__(self, *, replicas: int = REPLICAS) -> None:
        self._replicas = replicas
        self._logs = 0
        self._apart: Bed | None = None

    def __enter__(self) -> Self:
        """Build it."""
        with ExitStack() as cleanup:
            self.directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            self.directory.chmod(0o755)
            self.traffic = Traffic(self.directory)
            self.lab = cleanup.enter_context(Lab(clients=1, replicas=self._replicas, ipv6=False))
            self.host, self.client = self.lab.host, self.lab.client.namespace
            replicas = {replica.address: replica.namespace for replica in self.lab.replicas.values()}
            prepare(self.host, self.client, *replicas.values())
            self.backend = Backend("replicas", replicas, self, cleanup)
            self.cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it."""
        self.cleanup.close()

    def apart(self) -> "Bed":
        """Make another, once: for what can't be cleared away: legacy iptables' tables stay with their host."""
        if self._apart is None:
            self._apart = self.cleanup.enter_context(Bed(replicas=self._replicas))
        self._apart.forget_connections()
        return self._apart

    def fronts(self, replicas: int) -> tuple[Front, ...]:
        """Say what a side has to carry to so many replicas; iperf3 wants all its connections at one."""
        addresses = [replica.address for replica in self.lab.replicas.values()]

        def front(kind: Kind, number: int) -> Front:
            return Front(kind, tuple(Endpoint(address, kind.replica_port) for address in addresses[:number]))

        return front(Kind.WEB, replicas), front(Kind.BULK, 1), front(Kind.DATAGRAMS, replicas)

    def served(self, kinds: Sequence[Kind], *processes: Process) -> Served:
        """Say that these are carried at the host's own address, which the client knows."""
        at = {kind: self.lab.at(kind.port) for kind in kinds}
        return Served(self.client, at, tuple(process.pid for process in processes), self.backend.pids)

    def pin(self) -> None:
        """Have both ends of datagrams on one processor: whether they meet on one or on two is chance, and shows."""
        self.traffic.processor = max(os.sched_getaffinity(0))
        psutil.Process(self.backend.processes[1].pid).cpu_affinity([self.traffic.processor])

    def log(self, name: str) -> Path:
        """Give a process's log a name."""
        self._logs += 1
        return self.directory / f"{self._logs}-{name}.log"

    def clear(self) -> None:
        """Take all rules and tracked connections away, so that the next side finds the host as the first did."""
        run(self.host, ["nft", "flush", "ruleset"])
        self.forget_connections()

    def forget_connections(self) -> None:
        """Have the host's kernel track none."""
        self.host.run(_forget_connections)


def prepare(*namespaces: Namespace) -> None:
    """Let clients and proxies open many connections in a short time."""
    for namespace in namespaces:
        for name, value in _SYSCTLS:
            namespace.run(_PROC_SYS_NET.joinpath(name).write_text, value)


def _forget_connections() -> None:
    with NFCTSocket() as netlink:
        netlink.flush()

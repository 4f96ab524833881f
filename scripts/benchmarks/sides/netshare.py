"""netshare as it is run: definitions in a directory, and its agent, which programs the kernel and then waits."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from netshare.core.model import IPTABLES, NFTABLES, Listener, Service, StaticEndpoint
from netshare.errors import NetshareError
from netshare.runtime.agent import AgentClient
from netshare.store import schema
from scripts.benchmarks.bed import Bed, Front, Served
from scripts.benchmarks.processes import Process, missing, running

ROOT = Path(__file__).resolve().parents[3]
OTHERS_PORT = 10_001
OTHERS_ADDRESS = IPv4Address("10.0.0.1")
OTHERS_REPLICAS = 10


@dataclass(frozen=True, slots=True)
class Netshare:
    """So many replicas, while so many other services are installed."""

    name: str
    replicas: int = 3
    others: int = 0
    driver: str = NFTABLES

    def lacks(self) -> str | None:
        """Look for the tools of legacy xtables, which the iptables driver needs."""
        return missing("iptables-legacy") if self.driver == IPTABLES else None

    @contextmanager
    def serve(self, bed: Bed) -> Iterator[Served]:
        """Run the agent on definitions that are there already."""
        bed = bed if self.driver == NFTABLES else bed.apart()
        directory = bed.log("netshare")
        fronts = bed.fronts(self.replicas)
        for front in fronts:
            define_front(directory, front)
        define_others(directory, self.others)
        with agent(bed, directory, self.driver) as process:
            yield bed.served([front.kind for front in fronts], process)


def define(directory: Path, service: Service) -> None:
    """Write a definition as `attach` does, but for the wait for the disk."""
    folder = directory / "state" / "services"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{service.name}.json").write_bytes(schema.encode(service))


def define_front(directory: Path, front: Front) -> None:
    """Write the definition of what is measured."""
    listener = Listener(front.port, front.protocol)
    endpoints = tuple(StaticEndpoint(endpoint.address, endpoint.port) for endpoint in front.endpoints)
    define(directory, Service(str(front.kind), (listener,), endpoints=endpoints))


def define_others(directory: Path, number: int) -> None:
    """Write definitions of services that nobody asks: ten static replicas each."""
    for service in range(number):
        define_other(directory, service)


def define_other(directory: Path, service: int, *, port: int = 8080) -> None:
    """Write the definition of one of them, or of what it has become."""
    first = OTHERS_ADDRESS + service * OTHERS_REPLICAS
    endpoints = tuple(StaticEndpoint(first + replica, port) for replica in range(OTHERS_REPLICAS))
    define(directory, Service(f"other-{service}", (Listener(OTHERS_PORT + service),), endpoints=endpoints))


def environment(directory: Path, driver: str = NFTABLES, engine: str = "") -> dict[str, str]:
    """Say where definitions and runtime files are; without an engine, none is looked for."""
    nowhere = f"unix://{directory}/none.sock"
    return {
        "NETSHARE_STATE_DIR": str(directory / "state"),
        "NETSHARE_RUNTIME_DIR": str(directory / "run"),
        "NETSHARE_DRIVER": driver,
        "DOCKER_HOST": engine or nowhere,
        "CONTAINER_HOST": nowhere,
        "PYTHONPATH": str(ROOT),
    }


def is_synced(directory: Path) -> bool:
    """Have the agent reconcile; whether there is one that did."""
    try:
        AgentClient(directory / "run").sync()
    except NetshareError:
        return False
    return True


@contextmanager
def agent(bed: Bed, directory: Path, driver: str = NFTABLES) -> Iterator[Process]:
    """Run the agent on the host, from when it has reconciled once."""
    (directory / "run").mkdir(parents=True, exist_ok=True)
    process = Process(
        bed.host,
        [sys.executable, "-m", "netshare", "agent"],
        directory / "agent.log",
        environment=environment(directory, driver),
    )
    with running(process):
        process.wait_until(lambda: is_synced(directory))
        yield process

"""nftlb: a daemon that programs nftables for load balancing, told by a JSON API over HTTP."""

import http.client
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from netshare.core.model import Endpoint, IPAddress, Protocol
from netshare.lab.namespace import Namespace
from scripts.benchmarks.bed import Bed, Served
from scripts.benchmarks.processes import BenchmarkError, Process, accepts, missing, running

PORT = 5555
_KEY = "bench"
_LOOPBACK = IPv4Address("127.0.0.1")
_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Nftlb:
    """Its ``dnat`` mode, drawing by weight: the clients' addresses stay."""

    name: str = "nftlb"
    replicas: int = 3

    def lacks(self) -> str | None:
        """Look for it."""
        return missing("nftlb")

    @contextmanager
    def serve(self, bed: Bed) -> Iterator[Served]:
        """Run it, and tell it of the farms."""
        fronts = bed.fronts(self.replicas)
        with daemon(bed, bed.host) as process:
            address = bed.lab.client.gateway
            farms = [farm(str(f.kind), address, f.port, f.endpoints, f.protocol) for f in fronts]
            call(bed.host, "PUT", "/farms", {"farms": farms})
            yield bed.served([front.kind for front in fronts], process)


@contextmanager
def daemon(bed: Bed, namespace: Namespace) -> Iterator[Process]:
    """Run it with nothing to do yet."""
    process = Process(namespace, ["nftlb", "-k", _KEY, "-H", "127.0.0.1", "-l", "4", "-L", "1"], bed.log("nftlb"))
    with running(process):
        process.wait_until(lambda: accepts(namespace, Endpoint(_LOOPBACK, PORT)))
        yield process


def farm(
    name: str, address: IPAddress, port: int, endpoints: Sequence[Endpoint], protocol: Protocol = Protocol.TCP
) -> dict[str, Any]:
    """Describe a service in its words."""
    return {
        "name": name,
        "family": "ipv4",
        "virtual-addr": str(address),
        "virtual-ports": str(port),
        "mode": "dnat",
        "protocol": protocol.value,
        "scheduler": "weight",
        "state": "up",
        "backends": [backend(f"backend-{number}", endpoint) for number, endpoint in enumerate(endpoints)],
    }


def backend(name: str, endpoint: Endpoint) -> dict[str, str]:
    """Describe a replica in its words."""
    return {"name": name, "ip-addr": str(endpoint.address), "port": str(endpoint.port), "weight": "1", "state": "up"}


def call(namespace: Namespace, method: str, path: str, body: object = None) -> str:
    """Call its API, which must go well."""

    def inside() -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=_PATIENCE)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Key": _KEY})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    status, said = namespace.run(inside)
    if status != http.client.OK:
        raise BenchmarkError(f"nftlb: {method} {path}: {status} {said}")
    return said

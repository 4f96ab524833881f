"""Rules typed by hand: the iptables of the article that netshare comes from, and nftables in the shape of kube-proxy's.

The latter is written here, after what kube-proxy's nftables mode programs (a chain for each service, one for each
endpoint, a map that leads to them); it is not kube-proxy's own output.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from netshare.core.model import Endpoint, Protocol
from scripts.benchmarks.bed import Bed, Served
from scripts.benchmarks.processes import missing, run

TABLE = "kube-shaped"
_MASQUERADE = "0x4000"


@dataclass(frozen=True, slots=True)
class Article:
    """`-m statistic --mode random` in PREROUTING and OUTPUT, with the probabilities that make n replicas equal."""

    name: str = "iptables by hand (the article's)"
    replicas: int = 3

    def lacks(self) -> str | None:
        """Look for iptables."""
        return missing("iptables-restore")

    @contextmanager
    def serve(self, bed: Bed) -> Iterator[Served]:
        """Load the rules."""
        fronts = bed.fronts(self.replicas)
        lines = [line for front in fronts for line in statistic(front.protocol, front.port, front.endpoints)]
        run(bed.host, ["iptables-restore"], given=restore(lines))
        yield bed.served([front.kind for front in fronts])


def statistic(protocol: Protocol, port: int, endpoints: Sequence[Endpoint]) -> list[str]:
    """Write the article's rules for one port, as they are typed."""
    lines = []
    for chain in ("PREROUTING", "OUTPUT"):
        for number, endpoint in enumerate(endpoints):
            left = len(endpoints) - number
            chance = f"-m statistic --mode random --probability {1 / left:.8f} " if left > 1 else ""
            lines.append(f"-A {chain} -p {protocol} --dport {port} {chance}-j DNAT --to-destination {endpoint}")
    return lines


def restore(lines: Sequence[str]) -> str:
    """Write rules of the nat table for iptables-restore; forwarding is open, as in the article."""
    return "\n".join(("*nat", *lines, "COMMIT", "*filter", ":FORWARD ACCEPT", "COMMIT", ""))


@dataclass(frozen=True, slots=True)
class KubeShaped:
    """A chain for each service and one for each endpoint."""

    name: str = "nftables in kube-proxy's shape"
    replicas: int = 3

    def lacks(self) -> str | None:
        """Look for nft."""
        return missing("nft")

    @contextmanager
    def serve(self, bed: Bed) -> Iterator[Served]:
        """Load the rules."""
        fronts = bed.fronts(self.replicas)
        run(bed.host, ["nft", "-f", "-"], given=kube_shaped([(f.protocol, f.port, f.endpoints) for f in fronts]))
        yield bed.served([front.kind for front in fronts])


PortOf = tuple[Protocol, int, Sequence[Endpoint]]


def kube_shaped(ports: Sequence[PortOf]) -> str:
    """Write the whole table."""
    lines = [
        f"table ip {TABLE} {{",
        " map service-nodeports { type inet_proto . inet_service : verdict; }",
        " chain mark-for-masquerade { meta mark set meta mark or " + _MASQUERADE + "; }",
        " chain services { fib daddr type local meta l4proto . th dport vmap @service-nodeports; }",
        " chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }",
        " chain nat-output { type nat hook output priority -100; jump services; }",
        " chain nat-postrouting { type nat hook postrouting priority srcnat;",
        f"  meta mark & {_MASQUERADE} != 0 meta mark set meta mark xor {_MASQUERADE} masquerade fully-random; }}",
    ]
    for protocol, port, endpoints in ports:
        lines += [line for endpoint in endpoints for line in _endpoint_chain(protocol, port, endpoint)]
        lines += [f" chain {_service(protocol, port)} {{", f"  {_draw(protocol, port, endpoints)}", " }"]
    lines.append("}")
    elements = ", ".join(f"{protocol} . {port} : goto {_service(protocol, port)}" for protocol, port, _ in ports)
    return "\n".join((*lines, f"add element ip {TABLE} service-nodeports {{ {elements} }}", ""))


def kube_change(port: PortOf, old: Endpoint, new: Endpoint) -> str:
    """Write what replaces one endpoint of a service, in one transaction, as kube-proxy does: only what differs."""
    protocol, number, endpoints = port
    after = [new if endpoint == old else endpoint for endpoint in endpoints]
    rule = f"meta l4proto {protocol} dnat to {new}"
    chain = _endpoint(protocol, number, new)
    return "\n".join(
        (
            f"add chain ip {TABLE} {chain}",
            f"add rule ip {TABLE} {chain} ip saddr {new.address} jump mark-for-masquerade",
            f"add rule ip {TABLE} {chain} {rule}",
            f"flush chain ip {TABLE} {_service(protocol, number)}",
            f"add rule ip {TABLE} {_service(protocol, number)} {_draw(protocol, number, after)}",
            f"delete chain ip {TABLE} {_endpoint(protocol, number, old)}",
            "",
        )
    )


def _endpoint_chain(protocol: Protocol, port: int, endpoint: Endpoint) -> list[str]:
    return [
        f" chain {_endpoint(protocol, port, endpoint)} {{",
        f"  ip saddr {endpoint.address} jump mark-for-masquerade",
        f"  meta l4proto {protocol} dnat to {endpoint}",
        " }",
    ]


def _draw(protocol: Protocol, port: int, endpoints: Sequence[Endpoint]) -> str:
    slots = ", ".join(f"{slot} : goto {_endpoint(protocol, port, each)}" for slot, each in enumerate(endpoints))
    return f"numgen random mod {len(endpoints)} vmap {{ {slots} }}"


def _service(protocol: Protocol, port: int) -> str:
    return f"service-{protocol}-{port}"


def _endpoint(protocol: Protocol, port: int, endpoint: Endpoint) -> str:
    return f"endpoint-{protocol}-{port}-{endpoint.address}-{endpoint.port}".replace(".", "-")

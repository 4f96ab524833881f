"""The sides: netshare, and what people would pick instead, each configured as its own manual says."""

from collections.abc import Sequence

from netshare.core.model import IPTABLES
from scripts.benchmarks.sides import caddy, envoy, haproxy, nginx, traefik
from scripts.benchmarks.sides.direct import Direct, Tracked
from scripts.benchmarks.sides.docker import DockerProxy, DockerPublished
from scripts.benchmarks.sides.netshare import Netshare
from scripts.benchmarks.sides.nftlb import Nftlb
from scripts.benchmarks.sides.rules import Article, KubeShaped
from scripts.benchmarks.sides.side import Side

DIRECT = Direct().name
MANY = 10_000


def sides(*, many: int = MANY) -> Sequence[Side]:
    """Give all of them, in the order in which tables name them; three replicas, unless they say otherwise."""
    return (
        Direct(),
        Tracked(),
        Netshare("netshare, 1 replica", replicas=1),
        Netshare("netshare"),
        Netshare("netshare, 10 replicas", replicas=10),
        Netshare(f"netshare, {many:,} services", others=many - 3),
        Netshare("netshare (iptables)", driver=IPTABLES),
        Article(),
        KubeShaped(),
        Nftlb(),
        DockerPublished(),
        DockerProxy(),
        haproxy.TCP,
        haproxy.HTTP,
        nginx.STREAM,
        nginx.HTTP,
        envoy.TCP,
        envoy.HTTP,
        traefik.TRAEFIK,
        caddy.CADDY,
    )

"""How containers get behind a port and out again: by netshare, and by proxies as their manuals say."""

from collections.abc import Sequence

from scripts.benchmarks.ways import reloaded
from scripts.benchmarks.ways.netshare import NetshareWay, Rollout
from scripts.benchmarks.ways.traefik import TraefikWay
from scripts.benchmarks.ways.way import Way


def ways() -> Sequence[Way]:
    """Give all of them."""
    return (*map(NetshareWay, Rollout), reloaded.HAPROXY, reloaded.NGINX, TraefikWay())

"""HAProxy, connection by connection and request by request, with its defaults otherwise."""

from collections.abc import Sequence
from pathlib import Path

from scripts.benchmarks.bed import Front, Kind
from scripts.benchmarks.sides.side import Proxy, save

_HEAD = """\
global
    maxconn 8000
defaults
    mode {mode}
    timeout connect 5s
    timeout client 30s
    timeout server 30s
"""
_SECTION = """
frontend {kind}
    bind :{port}
    default_backend {kind}
backend {kind}
    balance roundrobin
{servers}
"""


def _configure(mode: str, fronts: Sequence[Front], directory: Path) -> Sequence[str]:
    text = _HEAD.format(mode=mode)
    for front in fronts:
        servers = "\n".join(f"    server replica-{n} {each}" for n, each in enumerate(front.endpoints, 1))
        text += _SECTION.format(kind=front.kind, port=front.port, servers=servers)
    return ["haproxy", "-db", "-f", save(directory, "haproxy.cfg", text)]


def _tcp(fronts: Sequence[Front], directory: Path) -> Sequence[str]:
    return _configure("tcp", fronts, directory)


def _http(fronts: Sequence[Front], directory: Path) -> Sequence[str]:
    return _configure("http", fronts, directory)


TCP = Proxy("HAProxy (tcp)", "haproxy", (Kind.WEB, Kind.BULK), _tcp)
HTTP = Proxy("HAProxy (http)", "haproxy", (Kind.WEB,), _http)

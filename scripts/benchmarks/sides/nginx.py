"""nginx: its stream module, and as an HTTP proxy that keeps connections to replicas open, as its manual advises."""

from collections.abc import Sequence
from pathlib import Path

from scripts.benchmarks.bed import Front, Kind
from scripts.benchmarks.processes import missing
from scripts.benchmarks.sides.side import Proxy, save

MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")

_HEAD = """\
daemon off; worker_processes auto; pid {directory}/nginx.pid; error_log stderr;
{load}
events {{ worker_connections 16384; }}
"""
_HTTP = """\
http {{
    access_log off; keepalive_requests 100000000;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    upstream replicas {{ {servers} keepalive 64; keepalive_requests 100000000; }}
    server {{
        listen {port} backlog=4096;
        location / {{ proxy_pass http://replicas; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""
_STREAM = """\
    upstream {kind} {{ {servers} }}
    server {{ listen {port}{udp}; proxy_pass {kind}; }}
"""


class StreamProxy(Proxy):
    """nginx with its stream module, which Debian has as a package of its own."""

    def lacks(self) -> str | None:
        """Look for nginx and for the module."""
        return missing("nginx") or (None if MODULE.exists() else "not installed: libnginx-mod-stream")


def _servers(front: Front) -> str:
    return " ".join(f"server {endpoint};" for endpoint in front.endpoints)


def _command(directory: Path, text: str) -> Sequence[str]:
    return ["nginx", "-c", save(directory, "nginx.conf", text), "-e", "stderr"]


def _stream(fronts: Sequence[Front], directory: Path) -> Sequence[str]:
    servers = "".join(
        _STREAM.format(
            kind=front.kind,
            servers=_servers(front),
            port=front.port,
            udp=" udp" if front.kind is Kind.DATAGRAMS else " backlog=4096",
        )
        for front in fronts
    )
    head = _HEAD.format(directory=directory, load=f"load_module {MODULE};")
    return _command(directory, f"{head}stream {{\n{servers}}}\n")


def _http(fronts: Sequence[Front], directory: Path) -> Sequence[str]:
    (front,) = fronts
    head = _HEAD.format(directory=directory, load="")
    return _command(directory, head + _HTTP.format(directory=directory, servers=_servers(front), port=front.port))


STREAM = StreamProxy("nginx (stream)", "nginx", tuple(Kind), _stream)
HTTP = Proxy("nginx (http)", "nginx", (Kind.WEB,), _http)

"""Proxies that know their replicas from a file: what is there changes by writing it anew and telling them to reload.

They notice by themselves that a replica is gone: HAProxy by its checks (every two seconds, three in a row, its
defaults) and by trying another (`option redispatch`), nginx when a request fails, which it then sends to the next.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from docker.models.containers import Container

from netshare.core.model import Endpoint
from scripts.benchmarks.processes import Process, accepts, missing
from scripts.benchmarks.ways.site import PORT, Site
from scripts.benchmarks.ways.supervised import Supervised

_HAPROXY = """\
global
    maxconn 4000
    stats socket {directory}/haproxy.sock expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    option redispatch
    option forwardfor
frontend web
    bind :{port}
    default_backend web
backend web
    balance roundrobin
    option httpchk GET /
{servers}
"""
_NGINX = """\
daemon off; worker_processes auto; pid {directory}/nginx.pid; error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    upstream web {{
{servers}
        keepalive 64;
    }}
    server {{
        listen {port};
        location / {{
            proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""


class _Running(Supervised):
    def __init__(self, start: Callable[[], Process], write: Callable[[Sequence[Endpoint]], None], number: int) -> None:
        super().__init__(start)
        self._write = write
        self._signal = number
        self.endpoints: dict[str, Endpoint] = {}
        self.look: Callable[[Container], Endpoint]

    def replace(self, old: Container, new: Container) -> None:
        """Write the new replica in the old one's place, and reload."""
        del self.endpoints[str(old.name)]
        self.endpoints[str(new.name)] = self.look(new)
        self._write(list(self.endpoints.values()))
        os.kill(self.process.pid, self._signal)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """One of them: its configuration, a line a replica, how it is called, and the signal that makes it reload."""

    name: str
    program: str
    template: str
    server: str
    words: tuple[str, ...]
    reload: signal.Signals
    does_all: bool = True

    def lacks(self) -> str | None:
        """Look for its program."""
        return missing(self.program)

    @contextmanager
    def run(self, site: Site, replicas: Sequence[Container]) -> Iterator[_Running]:
        """Run it."""
        directory = site.directory / self.program
        directory.mkdir(exist_ok=True)
        config = directory / "config"
        command = [self.program, *self.words, str(config)]

        def write(endpoints: Sequence[Endpoint]) -> None:
            self._write(config, directory, endpoints)

        def start() -> Process:
            process = Process(site.host, command, directory / "log")
            process.wait_until(partial(accepts, site.client, site.at))
            return process

        known = {str(replica.name): site.endpoint(replica) for replica in replicas}
        write(list(known.values()))
        running = _Running(start, write, self.reload)
        running.endpoints, running.look = known, site.endpoint
        try:
            yield running
        finally:
            running.stop()

    def _write(self, config: Path, directory: Path, endpoints: Sequence[Endpoint]) -> None:
        servers = "\n".join(
            self.server.format(name=str(each.address).replace(".", "-"), endpoint=each) for each in endpoints
        )
        config.write_text(self.template.format(directory=directory, port=PORT, servers=servers), encoding="ascii")


HAPROXY = Reloaded(
    "HAProxy (http, checks)",
    "haproxy",
    _HAPROXY,
    "    server {name} {endpoint} check",
    ("-W", "-f"),
    signal.SIGUSR2,
)
NGINX = Reloaded("nginx (http)", "nginx", _NGINX, "        server {endpoint};", ("-e", "stderr", "-c"), signal.SIGHUP)

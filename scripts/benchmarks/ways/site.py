"""A host with a real dockerd, an image with nginx in it, and a client outside."""

import http.client
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self

from docker.models.containers import Container

from netshare.core.model import Endpoint
from scripts.benchmarks.bed import prepare
from scripts.benchmarks.native import Traffic
from scripts.benchmarks.processes import program, until
from tests.docker.lab import DockerLab

IMAGE = "bench-web"
PORT = 80
REPLICA_PORT = 8080
_CONFIG = f"""\
user root; worker_processes 1; pid /nginx.pid; error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off; default_type text/plain; keepalive_requests 100000000;
    server {{
        listen {REPLICA_PORT} backlog=4096;
        location / {{ return 200 "$hostname $remote_addr $http_x_forwarded_for\\n"; }}
    }}
}}
"""
_PATIENCE = 20.0


class Site:
    """The host; replicas are containers called ``web-1``, ``web-2`` and so on."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._started = 0

    def __enter__(self) -> Self:
        """Build it."""
        with ExitStack() as cleanup:
            lab = self._lab = cleanup.enter_context(DockerLab())
            self.host, self.client, self.at, self.url = lab.host, lab.client, lab.at(PORT), lab.url
            self.client_address: str = lab.client_address
            prepare(self.client)
            self.traffic = Traffic(self.directory)
            self.add_image(IMAGE, ["/usr/sbin/nginx", "-c", "/nginx.conf", "-g", "daemon off;"])
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it."""
        self._cleanup.close()

    def add_image(self, name: str, command: Sequence[str]) -> None:
        """Make an image with nginx in it, which is called that way."""
        changes = [f"CMD {json.dumps(list(command))}", f"EXPOSE {REPLICA_PORT}"]
        self._lab.docker.api.import_image_from_data(_archive(), repository=name, tag="latest", changes=changes)

    def start(self) -> Container:
        """Start a replica, and wait until it answers; labels are for whoever reads them.

        It is stopped by SIGQUIT, as the official image of nginx is: then it ends in good order.
        """
        self._started += 1
        name = f"web-{self._started}"
        labels = {
            "traefik.http.routers.web.rule": "PathPrefix(`/`)",
            "traefik.http.services.web.loadbalancer.server.port": str(REPLICA_PORT),
        }
        container: Container = self._lab.docker.containers.run(
            IMAGE, name=name, hostname=name, labels=labels, detach=True, stop_signal="SIGQUIT"
        )
        to = self.endpoint(container)
        until(
            lambda: self.traffic.paced(self.host, to, rate=100, seconds=0.02, keep=False).failures == 0,
            f"{name} to answer",
            seconds=_PATIENCE,
        )
        return container

    def endpoint(self, container: Container) -> Endpoint:
        """Look up where a replica listens."""
        return Endpoint(ip_address(self._lab.address(container)), REPLICA_PORT)

    def replicas(self) -> list[Container]:
        """List those that run."""
        return list(self._lab.docker.containers.list())

    def clear(self) -> None:
        """Remove all containers."""
        self._lab.clear()

    def answered(self, replicas: int = 3) -> set[str]:
        """Name the replicas that answer a client now, of so many; empty when one request fails."""
        names = set()
        for _ in range(4 * replicas):
            said = self.ask()
            if said is None:
                return set()
            names.add(said.split()[0])
        return names

    def ask(self) -> str | None:
        """Send one request; gives what the replica says."""

        def inside() -> str | None:
            connection = http.client.HTTPConnection(str(self.at.address), self.at.port, timeout=2)
            try:
                connection.request("GET", "/", headers={"Connection": "close"})
                answer = connection.getresponse()
                return answer.read().decode() if answer.status == http.client.OK else None
            except OSError:
                return None
            finally:
                connection.close()

        return self.client.run(inside)


def _archive() -> bytes:
    """Pack this machine's nginx and the libraries it needs."""
    archive = io.BytesIO()
    nginx = program("nginx") or "nginx"
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in (nginx, *_libraries(nginx)):
            tar.addfile(*_file(path.lstrip("/") if path != nginx else "usr/sbin/nginx", Path(path).read_bytes(), 0o755))
        tar.addfile(*_file("nginx.conf", _CONFIG.encode(), 0o644))
        tar.addfile(*_file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n", 0o644))
        tar.addfile(*_file("etc/group", b"root:x:0:\n", 0o644))
        for directory in ("var/lib/nginx", "var/log/nginx", "tmp"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(entry)
    return archive.getvalue()


def _file(name: str, content: bytes, mode: int) -> tuple[tarfile.TarInfo, io.BytesIO]:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    return entry, io.BytesIO(content)


def _libraries(path: str) -> Iterator[str]:
    said = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    yield from re.findall(r"(?:=> )?(/\S+) \(0x", said)

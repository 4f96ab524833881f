"""Docker's published port: one container behind it. By DNAT, as it is from outside, and by docker-proxy.

Docker's own rules stand in the way of no other side: it has a host, a client and a container of its own, laid out as
those of the others.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from netshare.core.model import Endpoint
from netshare.lab import links
from netshare.lab.namespace import Namespace
from netshare.lab.privileges import join_network
from netshare.lab.topology import Lab
from scripts.benchmarks.bed import Backend, Bed, Kind, Served, prepare
from scripts.benchmarks.processes import Process, missing, running
from scripts.benchmarks.sides.side import listening
from tests.docker import image
from tests.docker.daemon import DockerDaemon

if TYPE_CHECKING:
    from docker.models.containers import Container


# It reports on descriptor 3, and closes it.
_WITH_PIPE = ("sh", "-c", 'exec "$@" 3>/dev/null', "sh")


class Site:
    """A host with dockerd and one container, whose ports are published, and its client."""

    def __init__(self, bed: Bed, cleanup: ExitStack) -> None:
        lab = cleanup.enter_context(Lab(clients=1, replicas=0, ipv6=False))
        lab.host.run(links.write_sysctls, [("ipv4/ip_forward", 0)])  # Docker's to switch on, with its policy of DROP
        daemon = DockerDaemon(lab.host)
        cleanup.callback(daemon.stop)
        with tempfile.TemporaryDirectory(prefix="bench-image-") as directory:
            image.build(daemon.client, Path(directory))
        self.container: Container = daemon.client.containers.run(
            image.NAME, name="web", detach=True, ports={f"{k.replica_port}/{k.protocol}": k.port for k in Kind}
        )
        cleanup.callback(self.container.remove, force=True)
        self.container.reload()
        inside = Namespace("container")
        cleanup.callback(inside.close)
        pid = self.container.attrs["State"]["Pid"]
        inside.run(join_network, f"/proc/{pid}/ns/net")
        prepare(lab.host, lab.client.namespace, inside)
        address = IPv4Address(self.container.attrs["NetworkSettings"]["IPAddress"])
        self.backend = Backend("container", {address: inside}, bed, cleanup)
        self.client = lab.client.namespace
        self.at = {kind: lab.at(kind.port) for kind in Kind}


@dataclass(slots=True)
class DockerPublished:
    """`docker run -p`, from outside: Docker's DNAT rule."""

    name: str = "Docker, published port (DNAT)"
    _site: Site | None = field(default=None, repr=False)

    def lacks(self) -> str | None:
        """Look for dockerd, and what the container is made of."""
        return missing("dockerd", "gcc", "busybox")

    @contextmanager
    def serve(self, bed: Bed) -> Iterator[Served]:
        """Start dockerd the first time; it is up for as long as the bed."""
        if self._site is None:
            self._site = Site(bed, bed.cleanup)
        site = self._site
        yield Served(site.client, site.at, (), site.backend.pids)


@dataclass(frozen=True, slots=True)
class DockerProxy:
    """docker-proxy, the process that dockerd starts for a published port, for what no DNAT rule takes."""

    name: str = "docker-proxy"

    def lacks(self) -> str | None:
        """Look for it."""
        return missing("docker-proxy")

    @contextmanager
    def serve(self, bed: Bed) -> Iterator[Served]:
        """Run one for each port, with the words that dockerd gives it."""
        fronts = bed.fronts(1)
        with ExitStack() as cleanup:
            processes = []
            for front in fronts:
                endpoint: Endpoint = front.endpoints[0]
                command = [*_WITH_PIPE, "docker-proxy", "-proto", front.protocol.value]
                command += ["-host-ip", "0.0.0.0", "-host-port", str(front.port)]  # noqa: S104 (inside the lab)
                command += ["-container-ip", str(endpoint.address), "-container-port", str(endpoint.port)]
                process = Process(bed.host, command, bed.log("docker-proxy"))
                processes.append(cleanup.enter_context(running(process)))
                listening(process, bed, [front])
            yield bed.served([front.kind for front in fronts], *processes)

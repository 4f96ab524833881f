"""The Docker lab: a host with a real dockerd, and a client outside it, each in a network namespace of its own.

The host's packets go as Docker lets them: forwarding is off until dockerd turns it on, which makes it set the policy
of FORWARD to DROP. No packet leaves the lab.
"""

import contextlib
import tempfile
from contextlib import ExitStack
from ipaddress import IPv4Interface
from pathlib import Path
from types import TracebackType
from typing import Self

import docker
from docker.models.containers import Container

from netshare.core.model import Endpoint
from netshare.lab import links
from netshare.lab.conversation import Conversation
from netshare.lab.namespace import Namespace
from tests.docker import image
from tests.docker.daemon import DockerDaemon

_HOST = IPv4Interface("198.18.200.1/24")  # for benchmarks (RFC 2544)
_CLIENT = IPv4Interface("198.18.200.2/24")


class DockerLab:
    """A host with Docker and its image, and a client, for as long as the ``with`` block lasts."""

    def __enter__(self) -> Self:
        """Build it."""
        with ExitStack() as cleanup:
            self._build(cleanup)
            self.daemon = self._daemon()
            cleanup.callback(self.daemon.stop)
            cleanup.callback(self.clear)
            with tempfile.TemporaryDirectory(prefix="netshare-image-") as directory:
                image.build(self.docker, Path(directory))
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it: containers first, then Docker, then the namespaces."""
        self._cleanup.close()

    @property
    def docker(self) -> docker.DockerClient:
        """The SDK's own client: what an admin does with the `docker` command."""
        return self.daemon.client

    @property
    def url(self) -> str:
        """DOCKER_HOST."""
        return self.daemon.url

    @property
    def client_address(self) -> str:
        """What the client's address is, and so what replicas must see."""
        return str(_CLIENT.ip)

    def at(self, port: int) -> Endpoint:
        """Where the client reaches a port of the host."""
        return Endpoint(_HOST.ip, port)

    def run(self, name: str, *, grace_ms: int = 0, **options: object) -> Container:
        """Start a replica; ``options`` are those of the SDK's `containers.run`. Its hostname is its name."""
        command = ["/bin/replica", str(grace_ms)]
        options.setdefault("hostname", name if options.get("network_mode") is None else None)
        return self.docker.containers.run(image.NAME, command, name=name, detach=True, **options)  # type: ignore[call-overload, no-any-return]

    def converse(self, port: int = 80) -> Conversation:
        """Open a connection from the client to a port of the host."""
        return Conversation(self.client, self.at(port))

    def address(self, container: Container, network: str = "bridge") -> str:
        """Look up where a container is on a network."""
        container.reload()
        return str(container.attrs["NetworkSettings"]["Networks"][network]["IPAddress"])

    def accepted(self, container: Container) -> list[int]:
        """When a replica took each of its connections so far, in nanoseconds since 1970."""
        return [int(line.split()[0]) for line in container.logs(stderr=False).splitlines()]

    def clear(self) -> None:
        """Remove all containers and the networks that are not Docker's own; Docker itself may have been ended."""
        self.daemon.up()
        for container in self.docker.containers.list(all=True, ignore_removed=True):
            with contextlib.suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)
        for network in self.docker.networks.list():
            if network.name not in {"bridge", "host", "none"}:
                network.remove()

    def _build(self, cleanup: ExitStack) -> None:
        """Make the host, the client, and a cable between them."""
        self.host = self._host(cleanup)
        self.client = self._namespace("docker-client", cleanup)
        self.host.run(links.add_cable, "outside", "eth0", self.client.path)
        self.host.run(links.bring_up, "outside", [_HOST])
        self.client.run(links.bring_up, "eth0", [_CLIENT])
        self.client.run(links.add_default_routes, [_HOST.ip])
        # A new namespace may inherit the machine's forwarding, and then Docker sets no policy.
        self.host.run(links.write_sysctls, [("ipv4/ip_forward", 0)])

    def _host(self, cleanup: ExitStack) -> Namespace:
        return self._namespace("docker-host", cleanup)

    def _daemon(self) -> DockerDaemon:
        return DockerDaemon(self.host)

    @staticmethod
    def _namespace(name: str, cleanup: ExitStack) -> Namespace:
        namespace = Namespace(name)
        cleanup.callback(namespace.close)
        namespace.run(links.prepare, ipv6=True)
        return namespace

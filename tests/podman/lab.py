"""The Podman lab: the Docker lab with Podman in Docker's place; and Docker beside it."""

from contextlib import ExitStack

from docker.models.containers import Container

from netshare.lab import links
from netshare.lab.namespace import Namespace
from tests.docker.daemon import DockerDaemon
from tests.docker.lab import DockerLab
from tests.podman.machine import Machine
from tests.podman.service import PodmanService


class PodmanLab(DockerLab):
    """A host with Podman and its image, and a client; the SDK's own client speaks to Podman as to Docker."""

    podman: PodmanService

    def address(self, container: Container, network: str = "podman") -> str:
        """Look up where a container is on a network."""
        return super().address(container, network)

    def stop(self, name: str) -> None:
        """Stop a container as an admin does. What Docker's API has made would be given no time to (seen with 4.3)."""
        self.podman.run("stop", "--time", "10", name)

    def clear(self) -> None:
        """Remove all pods, containers, and the networks that are not Podman's own."""
        self.podman.up()
        self.podman.run("pod", "rm", "--force", "--all", "--time", "0")
        # Those whose network others share come last: at the second time.
        everything = "rm", "--force", "--all", "--time", "0"
        if self.podman.try_run(*everything)[0] != 0:
            self.podman.run(*everything)
        super().clear()

    def _host(self, cleanup: ExitStack) -> Namespace:
        self.machine = Machine("podman-host")
        cleanup.callback(self.machine.close)
        self.machine.run(links.prepare, ipv6=True)
        return self.machine

    def _daemon(self) -> DockerDaemon:
        self.podman = PodmanService(self.machine)
        return self.podman


class DockerBeside(DockerLab):
    """Docker on the host of a `PodmanLab`, with that one's client."""

    def __init__(self, podman: PodmanLab) -> None:
        self.podman = podman

    def _build(self, cleanup: ExitStack) -> None:  # noqa: ARG002 (what is there is the other lab's to remove)
        self.host, self.client = self.podman.host, self.podman.client

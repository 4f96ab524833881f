"""A real engine under test, in a lab of its own, and what the engines' own worlds call things."""

from dataclasses import dataclass

from docker.models.containers import Container as Started

from netshare.core.model import Container
from netshare.engine.compatible import CompatibleEngine
from netshare.engine.docker import DockerEngine
from netshare.engine.podman import PodmanEngine
from tests.docker.lab import DockerLab
from tests.podman.lab import PodmanLab

SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class World:
    """A lab with an engine; ``network`` is the one that containers are on by default."""

    lab: DockerLab
    engine: type[DockerEngine | PodmanEngine]
    network: str

    def follow(self) -> CompatibleEngine:
        """Make an engine as netshare has one."""
        return self.engine(self.lab.url)

    def check(self, *commands: str) -> dict[str, object]:
        """Make a health check that runs busybox."""
        return {"test": ["CMD", "/bin/busybox", *commands], "interval": SECOND_NS // 5, "retries": 1}

    def pass_time(self, *names: str) -> None:
        """Let health checks run: Docker has a clock of its own, Podman leaves that to systemd, which no lab has."""
        if isinstance(self.lab, PodmanLab):
            for name in names:
                self.lab.podman.try_run("healthcheck", "run", name)

    def address(self, started: Started, network: str | None = None) -> str:
        """Look up where a container is."""
        return self.lab.address(started, network or self.network)


def listed(engine: CompatibleEngine) -> dict[str, Container]:
    """List containers by their names."""
    return {container.name: container for container in engine.containers()}

"""What an admin does on a host with Podman: as on one with Docker, with no address given."""

from pathlib import Path

from tests.docker.admin import Admin
from tests.podman.lab import DockerBeside, PodmanLab


class PodmanAdmin(Admin):
    """One with root on the lab's host, where Podman listens at its usual place, and Docker, if at all, at another."""

    lab: PodmanLab

    def __init__(self, lab: PodmanLab, directory: Path, docker: DockerBeside | None = None) -> None:
        super().__init__(lab, directory)
        del self.environment["DOCKER_HOST"]
        self.environment.pop("CONTAINER_HOST", None)
        if docker is not None:
            self.environment["DOCKER_HOST"] = docker.url

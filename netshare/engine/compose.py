"""Compose, run as a program: it alone knows what its files mean.

Both generations are one command with the same words here: ``docker compose`` (2) and ``docker-compose`` (1, or 2).
"""

import os
from pathlib import Path

from netshare.core.compose import ComposeService
from netshare.errors import NetshareError
from netshare.runtime import command

_SECONDS = 600.0
"""Making containers takes a second each or so; building or pulling an image first may take long."""
_LOOK_SECONDS = 20.0
_LAST_LINES = 5


class Compose:
    """The Compose of this host."""

    def check(self, service: ComposeService) -> None:
        """See that it can be run for a service.

        Raises:
            NetshareError: there is no Compose, or the project's files are gone.

        """
        self._command(service)
        for path in (service.directory, *service.files):
            if not Path(path).exists():
                raise NetshareError(
                    f"the Compose project {service.project} is not where its containers say: {path} is not there",
                    hint="put it back, or re-create the service with `compose up -d` from where it is now",
                )

    def scale(self, service: ComposeService, replicas: int, address: str) -> None:
        """Have so many replicas of a service, new ones by the files as they are now; those that are there stay.

        ``address`` is where the engine listens.

        Raises:
            NetshareError: it can't be done, in Compose's own words.

        """
        words = [
            *self._command(service),
            f"--project-directory={service.directory}",
            f"--project-name={service.project}",
            *(f"--file={path}" for path in service.files),
            *(f"--env-file={path}" for path in service.environment_files if Path(path).exists()),
            *("up", "--detach", "--no-deps", "--no-recreate", f"--scale={service.name}={replicas}"),
            *("--", service.name),
        ]
        try:
            done = command.run(*words, given="", timeout=_SECONDS, environment={**os.environ, "DOCKER_HOST": address})
        except TimeoutError as error:
            raise NetshareError(str(error), hint=f"run it by hand to see why: {' '.join(words)}") from error
        if done.code:
            said = "; ".join(line.strip() for line in done.err.splitlines()[-_LAST_LINES:] if line.strip())
            raise NetshareError(
                f"Compose can't make new replicas of {service.name}: {said or f'exit code {done.code}'}",
                hint="a service that is to have replicas side by side has neither `container_name` nor `ports`; "
                f"run it by hand to see more: {' '.join(words)}",
            )

    @staticmethod
    def _command(service: ComposeService) -> list[str]:
        """Find the generation that made a service, else the other one."""
        docker, alone = command.find("docker"), command.find("docker-compose")
        plugin: list[str] | None = None
        if docker and not (service.is_first_version and alone):
            done = command.run(docker, "compose", "version", given="", timeout=_LOOK_SECONDS)
            plugin = [docker, "compose"] if done.code == 0 else None
        if plugin:
            return plugin
        if alone:
            return [alone]
        raise NetshareError(
            f"{service.name} is a service of Compose, and there is no Compose here",
            hint="install docker-compose-plugin (or docker-compose), so that its files can be read",
        )

"""Compose projects as their containers' labels tell of them: where the files are, and what a service is called. Pure.

Labels come from whoever started a container; here they become words of a command that root may run. So each is checked
to be what it should be, and nothing that could be taken for an option.
"""

import re
from dataclasses import dataclass

from netshare.core.model import Container
from netshare.core.parse import shown
from netshare.core.selection import COMPOSE_ONEOFF, COMPOSE_PROJECT, COMPOSE_SERVICE, PODMAN_COMPOSE, compose
from netshare.errors import NetshareError

DIRECTORY = "com.docker.compose.project.working_dir"
FILES = "com.docker.compose.project.config_files"
ENVIRONMENT_FILES = "com.docker.compose.project.environment_file"
NUMBER = "com.docker.compose.container-number"
VERSION = "com.docker.compose.version"

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class ComposeService:
    """A service of a Compose project; ``is_first_version`` is whether Compose 1 made it."""

    project: str
    name: str
    directory: str
    files: tuple[str, ...]
    environment_files: tuple[str, ...] = ()
    is_first_version: bool = False

    def has(self, container: Container) -> bool:
        """Whether a container is one of its own, running or not."""
        return (
            compose(container, COMPOSE_PROJECT) == self.project
            and compose(container, COMPOSE_SERVICE) == self.name
            and compose(container, COMPOSE_ONEOFF) != "True"
        )


def is_composed(container: Container) -> bool:
    """Whether Compose made a container."""
    return compose(container, COMPOSE_SERVICE) is not None


def number(container: Container) -> int:
    """Give a container's number in its service."""
    text = container.labels.get(NUMBER, "")
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def service_of(container: Container) -> ComposeService:
    """Read which service of which project a container is of.

    Raises:
        NetshareError: its labels do not tell, or not in a way that can be used.

    """
    labels = container.labels
    if not labels.get(COMPOSE_SERVICE) or PODMAN_COMPOSE[COMPOSE_SERVICE] in labels:
        raise NetshareError(
            f"{container.name} was made by podman-compose, which can't add replicas beside those that are there",
            hint="use docker-compose with DOCKER_HOST=unix:///run/podman/podman.sock",
        )
    project, name = labels.get(COMPOSE_PROJECT, ""), labels[COMPOSE_SERVICE]
    directory, files = labels.get(DIRECTORY, ""), _split(labels.get(FILES, ""))
    for key, word in ((COMPOSE_PROJECT, project), (COMPOSE_SERVICE, name)):
        if not _WORD.fullmatch(word):
            raise _unusable(container, key, word)
    for key, paths in ((DIRECTORY, (directory,)), (FILES, files)):
        for path in paths:
            if not path or not path.isprintable() or len(path) > _LONGEST:
                raise _unusable(container, key, path)
    if not directory.startswith("/"):
        raise _unusable(container, DIRECTORY, directory)
    if not files:
        raise _unusable(container, FILES, "")
    environment_files = [path for path in _split(labels.get(ENVIRONMENT_FILES, "")) if path.isprintable()]
    return ComposeService(
        project,
        name,
        directory,
        tuple(_beside(directory, path) for path in files),
        tuple(_beside(directory, path) for path in environment_files),
        labels.get(VERSION, "").startswith("1."),
    )


def _beside(directory: str, path: str) -> str:
    return path if path.startswith("/") else f"{directory.rstrip('/')}/{path}"


def _split(paths: str) -> tuple[str, ...]:
    return tuple(path for path in paths.split(",") if path)


def _unusable(container: Container, label: str, value: str) -> NetshareError:
    said = f"says {shown(value)}" if value else "is missing"
    return NetshareError(
        f"the label {label} of {container.name} {said}: Compose can't be run for it",
        hint="re-create the service with Compose 1.25 or newer, from its own directory, and roll out again",
    )

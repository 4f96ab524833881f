"""Compose, whichever there is: Docker's plugin, or the program of old."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


def command() -> list[str] | None:
    """Find it."""
    if shutil.which("docker"):
        done = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if done.returncode == 0:
            return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


class Compose:
    """A project, from its folder, with a Docker of its own; another file may overrule part of the folder's."""

    def __init__(
        self,
        project: str,
        folder: Path,
        environment: Mapping[str, str],
        *,
        overruling: Path | None = None,
        seconds: float = 300,
    ) -> None:
        self._seconds = seconds
        found = command()
        if found is None:
            raise FileNotFoundError("docker-compose")
        files = [folder / "compose.yaml", *([overruling] if overruling else [])]
        self._words = [*found, "--project-name", project, *(f"--file={file}" for file in files)]
        # BuildKit is another program, which may not be there (Docker 23 and later); the daemon's own builder is.
        self._environment = {**os.environ, "DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0", **environment}

    def __call__(self, *words: str) -> str:
        """Run a verb, which must go well."""
        done = subprocess.run(
            [*self._words, *words],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self._seconds,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

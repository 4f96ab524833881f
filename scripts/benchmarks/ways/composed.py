"""A Compose project whose service ``web`` has the site's image, by each Compose that this machine has."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.benchmarks.processes import program, run
from scripts.benchmarks.ways.site import IMAGE, Site

_NAME = "shop"
_FILE = {"version": "2.4", "services": {"web": {"image": IMAGE, "stop_signal": "SIGQUIT"}}}


@dataclass(frozen=True, slots=True)
class Compose:
    """One of both generations, and how it is called."""

    version: str
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"Compose {self.version.lstrip('v').partition('.')[0]}"


def composes() -> Sequence[Compose]:
    """Find those that are here: `docker compose`, and `docker-compose` if that is another."""
    found: dict[str, Compose] = {}
    for words in (("docker", "compose"), ("docker-compose",)):
        if program(words[0]) is None:
            continue
        command = [program(words[0]) or words[0], *words[1:], "version", "--short"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode == 0:
            one = Compose(done.stdout.strip(), words)
            found.setdefault(one.name, one)
    return tuple(found.values())


class Project:
    """The project, in a directory of its own."""

    def __init__(self, compose: Compose, site: Site) -> None:
        self.compose = compose
        self._site = site
        self._directory = site.directory / compose.name.replace(" ", "-").lower()
        self._directory.mkdir(exist_ok=True)
        (self._directory / "docker-compose.yml").write_text(json.dumps(_FILE), encoding="ascii")

    def scale(self, replicas: int) -> None:
        """Have so many replicas, as `up --scale` does."""
        words = [
            *self.compose.words,
            *("--project-name", _NAME, "--file", str(self._directory / "docker-compose.yml")),
            *("up", "--detach", "--scale", f"web={replicas}"),
        ]
        run(self._site.host, words, environment={"DOCKER_HOST": self._site.url})

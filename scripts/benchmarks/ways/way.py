"""What a way is: containers behind a port of the host, as long as a block lasts."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from docker.models.containers import Container

from scripts.benchmarks.ways.site import Site


class Running(Protocol):
    """A way that is up."""

    def replace(self, old: Container, new: Container) -> None:
        """Say what an admin says before a new replica, which answers, takes the place of an old one that is to stop."""

    def roll_out(self) -> bool:
        """Replace all replicas by new ones, if it is one who does that."""

    def kill(self) -> None:
        """Kill what runs on the host, as a crash would, and start it again as a supervisor does, a second later."""


class Way(Protocol):
    """One of those that are compared."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def does_all(self) -> bool:
        """Whether all scenarios are its, or only the rollout."""

    def lacks(self) -> str | None:
        """Say what this machine lacks to measure it."""

    def run(self, site: Site, replicas: Sequence[Container]) -> AbstractContextManager[Running]:
        """Put replicas behind the port for as long as the block lasts."""

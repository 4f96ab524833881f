"""What netshare asks of an engine to replace replicas: a container made again from its own configuration, and its life.

Unlike `netshare.engine.protocol`, which only ever looks.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Situation:
    """How a container stands; ``is_new``: it was made and never started. ``end`` is how it ended, in words."""

    id: str
    name: str
    is_running: bool
    is_new: bool
    removes_itself: bool
    end: str = ""


class ReplacingEngine(Protocol):
    """An engine whose containers can be replaced.

    Every method raises `EngineUnreachableError` or `NotPermittedError` where the engine can't be asked, `NotFoundError`
    for a container or an image that is not there, and `NetshareError` for what the engine refuses.
    """

    @property
    def name(self) -> str:
        """``docker`` or ``podman``."""

    @property
    def address(self) -> str:
        """Where it listens, as DOCKER_HOST says it."""

    def check(self, identity: str, image: str | None) -> str:
        """See that a second one can be made beside a container, of this image or that of its own; gives its name.

        Raises:
            NetshareError: it has something that only one container can have.

        """

    def look(self, identity: str) -> Situation | None:
        """Look at a container, by its id or its name; nothing where there is none."""

    def make(self, like: str, image: str | None, name: str) -> str:
        """Make a container as another one was made, of this image or a newer one of its own; gives its id.

        It is not started yet.
        """

    def start(self, identity: str) -> None:
        """Start a container; one that runs is left alone."""

    def stop(self, identity: str) -> None:
        """Stop a container by its own signal and within its own time; one that is gone is no error."""

    def remove(self, identity: str, *, with_volumes: bool) -> None:
        """Remove a container, stopping it first; one that is gone is no error.

        ``with_volumes``: those that have no name, and so nobody else.
        """

    def rename(self, identity: str, name: str) -> None:
        """Give a container another name."""

    def last_words(self, identity: str) -> str:
        """Give the last line that a container said."""

    def close(self) -> None:
        """Free the connection."""

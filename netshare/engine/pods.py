"""What netshare asks of an engine to make pods: a few containers, started, looked at and removed.

Unlike `netshare.engine.protocol`, which only ever looks. A pod needs no more of netshare than this: its ports are
published by the engine, and the kernel's own SO_REUSEPORT spreads the connections.
"""

from dataclasses import dataclass
from typing import Protocol

from netshare.core.pods import Member, Published


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox to be started; no ``image``: one that netshare makes; no ``network``: the engine's own choice."""

    pod: str
    published: tuple[Published, ...]
    image: str | None = None
    network: str | None = None


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica to be started."""

    pod: str
    name: str
    image: str
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


class PodEngine(Protocol):
    """An engine that can make pods.

    Every method raises `EngineUnreachableError` or `NotPermittedError` where the engine can't be asked, and
    `NotFoundError` for a container or an image that is not there.
    """

    @property
    def name(self) -> str:
        """``docker`` or ``podman``."""

    def members(self) -> tuple[Member, ...]:
        """Every container of a pod, running or not."""

    def start_sandbox(self, sandbox: Sandbox) -> tuple[str, ...]:
        """Make a sandbox and start it, or leave nothing of it; gives warnings.

        Raises:
            PortConflictError: somebody has one of its ports.
            NetshareError: its name is taken, or the image can't be one's that sleeps.

        """

    def require_image(self, image: str) -> None:
        """See that an image is there: nothing is pulled."""

    def start_replica(self, replica: Replica) -> str:
        """Make a replica and start it, or leave nothing of it; gives its id.

        Raises:
            NetshareError: its name is taken, or it can't be started.

        """

    def start(self, member: Member) -> None:
        """Start a sandbox that was stopped.

        Raises:
            PortConflictError: somebody has one of its ports by now.

        """

    def restart(self, member: Member, grace: float) -> None:
        """Stop a replica, if it runs, and start it: it joins its sandbox's namespace anew."""

    def remove(self, member: Member, grace: float) -> None:
        """Stop a container gracefully, for that many seconds at most, and remove it; one that is gone is no error."""

    def last_words(self, identity: str) -> str:
        """Give the last line that a container said."""

    def close(self) -> None:
        """Free the connection."""

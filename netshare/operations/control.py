"""The one way from a changed definition to the kernel: through the agent where one runs, else by reconciling here."""

from dataclasses import dataclass
from typing import Protocol

from netshare.errors import NetshareError
from netshare.host import Host
from netshare.reconcile import reconcile


class AgentControl(Protocol):
    """The agent of this host, if one runs."""

    def pid(self) -> int | None:
        """Its process id; ``None`` where no agent runs."""

    def other_version(self) -> str | None:
        """Its version, where it is not this program's."""

    def sync(self) -> None:
        """Have it reconcile now, and wait until it has.

        Raises:
            NetshareError: what the agent met, or that it does not answer.

        """


class Clock(Protocol):
    """Time that only goes forward, and waiting."""

    def monotonic(self) -> float:
        """Seconds since some moment."""

    def sleep(self, seconds: float) -> None:
        """Let that much time pass."""


@dataclass(frozen=True, slots=True)
class Agent:
    """What to say of the agent beside a result."""

    pid: int | None

    @property
    def is_running(self) -> bool:
        """Whether there is one."""
        return self.pid is not None


def converge(host: Host, agent: AgentControl) -> tuple[NetshareError, ...]:
    """Bring the kernel to the definitions, now; gives what did not work although the rules are in place.

    An agent logs that, and tries again. Not under the caller's lock: whoever reconciles takes it.
    """
    if agent.pid() is not None:
        agent.sync()
        return ()
    problem = reconcile(host).cleaned.problem
    return () if problem is None else (problem,)

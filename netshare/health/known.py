"""What is known of the replicas' health to a process that does not probe: what the agent put up."""

from typing import Protocol

from netshare.core.health import Verdicts
from netshare.health.board import HealthBoard


class _Agent(Protocol):
    def pid(self) -> int | None:
        """Its process id; ``None`` where no agent runs."""


class KnownHealth:
    """The health of the replicas, as the verbs see it."""

    def __init__(self, board: HealthBoard, agent: _Agent) -> None:
        self._board = board
        self._agent = agent

    def verdicts(self) -> Verdicts:
        """Give what the agent found out; where none runs, as long as it is fresh."""
        is_probed = self._agent.pid() is not None
        return Verdicts(self._board.read(renewed=is_probed), is_probed=is_probed)

"""Hearing of the agent's events: one after the other for whoever shows them, or only that there were any."""

import json
import socket
from collections.abc import Generator, Mapping
from contextlib import ExitStack

from netshare.core.event import Value
from netshare.errors import NetshareError
from netshare.runtime.agent import AgentClient

_RECEIVE = 1 << 16
_NO_AGENT = "start it: sudo netshare agent install, or systemctl start netshare where it is installed"

Told = Mapping[str, Value]


def events(agent: AgentClient, last: int, *, follow: bool) -> Generator[Told, None, None]:
    """Give the agent's ``last`` events and, if it is to ``follow``, all that come.

    Raises:
        NetshareError: no agent runs, it refuses, or it has ended.

    """
    if agent.pid() is None:
        raise NetshareError("no agent runs, and without one there are no events", hint=_NO_AGENT)
    with agent.events(last, follow=follow) as connection, connection.makefile("rb") as lines:
        for line in lines:
            try:
                told = json.loads(line)
            except ValueError as error:  # it was killed in the middle of a line
                raise _ended() from error
            yield told
    if follow:
        raise _ended()


def _ended() -> NetshareError:
    return NetshareError("the agent has ended", hint="its log says why: journalctl -u netshare")


class AgentNews:
    """Whether the agent has done anything since this was last asked; without an agent, anything may have happened."""

    def __init__(self, agent: AgentClient) -> None:
        """Nothing is opened before it is asked."""
        self._agent = agent
        self._stack = ExitStack()
        self._connection: socket.socket | None = None

    def came(self) -> bool:
        """Tell; never waits for an event."""
        if self._connection is None:
            # Whatever is looked at from now on is looked at after this began to listen.
            self._connection = self._listen()
            return True
        try:
            heard = self._connection.recv(_RECEIVE)
            while heard and len(heard) == _RECEIVE:
                heard = self._connection.recv(_RECEIVE)
        except BlockingIOError:
            return False
        except OSError:
            heard = b""
        if not heard:
            self.close()
        return True

    def close(self) -> None:
        """Stop listening."""
        self._stack.close()
        self._connection = None

    def _listen(self) -> socket.socket | None:
        if self._agent.pid() is None:
            return None
        try:
            connection = self._stack.enter_context(self._agent.events(0, follow=True))
        except NetshareError:
            return None
        connection.settimeout(0)
        return connection

"""The agent's events as verbs hear them, through the real socket."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from netshare.agent.inbox import Inbox
from netshare.agent.server import ControlServer
from netshare.agent.telling import Telling
from netshare.core.event import Stage, event
from netshare.errors import NetshareError
from netshare.runtime.agent import AgentClient, claim
from netshare.runtime.listening import AgentNews, events

LOG = logging.getLogger("netshare.test")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


class Agent:
    """As much of an agent as tells events."""

    def __init__(self, directory: Path) -> None:
        self.telling = Telling(listeners=2)
        self._claim = claim(directory)
        self._claim.__enter__()
        self._server = ControlServer(directory, Inbox(), self.telling)
        self._thread = threading.Thread(target=self._server.serve, daemon=True)
        self._thread.start()
        LOG.addHandler(self.telling)

    def tell(self, number: int) -> None:
        LOG.warning(event(Stage.APPLY, added=number))

    def end(self) -> None:
        LOG.removeHandler(self.telling)
        self._server.close()
        self._thread.join(20)
        self.telling.close()
        self._claim.__exit__(None, None, None)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path)
    yield agent
    agent.end()


def test_the_last_and_those_that_follow(agent: Agent, tmp_path: Path) -> None:
    agent.tell(1)
    with closing(events(AgentClient(tmp_path), 10, follow=True)) as told:
        assert next(told)["added"] == 1
        agent.tell(2)
        assert next(told)["added"] == 2
    assert [each["added"] for each in events(AgentClient(tmp_path), 1, follow=False)] == [2]


def test_no_agent_is_an_error_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(NetshareError, match="no agent runs") as raised:
        next(events(AgentClient(tmp_path), 10, follow=True))
    assert "netshare agent" in (raised.value.hint or "")


def test_an_agent_that_ends_is_told_of(tmp_path: Path) -> None:
    agent = Agent(tmp_path)
    agent.tell(1)
    with closing(events(AgentClient(tmp_path), 1, follow=True)) as told:
        assert next(told)["added"] == 1  # so by now it listens
        agent.end()
        with pytest.raises(NetshareError, match="has ended"):
            next(told)


def test_a_refusal_is_the_agents_own(agent: Agent, tmp_path: Path) -> None:
    client = AgentClient(tmp_path)
    with client.events(0, follow=True), client.events(0, follow=True):
        with pytest.raises(NetshareError, match="2 others listen"):
            next(events(client, 0, follow=True))
        agent.tell(1)


def test_news_is_whatever_came_since_and_everything_where_nobody_tells(tmp_path: Path) -> None:
    with closing(AgentNews(AgentClient(tmp_path))) as news:
        assert news.came()
        assert news.came()
        agent = Agent(tmp_path)
        assert news.came(), "it may have missed something"
        assert not news.came()
        agent.tell(1)
        until(news.came)
        assert not news.came()
        agent.end()
        until(news.came)
        assert news.came()

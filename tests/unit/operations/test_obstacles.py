"""What stands in the way is said by the verbs, for the families that are served."""

import json

import pytest

from netshare.cli import documents
from netshare.core.model import Family
from netshare.core.obstacle import Obstacle
from netshare.operations.status import status
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host
from tests.unit.operations.attaching import run

WALL = Obstacle(Family.IP, "inet fw forward", "inet fw forward drops connections", "open it", certain=False)
WALL6 = Obstacle(Family.IP6, "inet fw6 forward", "inet fw6 forward drops connections", "open it too")


@pytest.fixture
def fake() -> FakeHost:
    made = fake_host(container("web-1", "172.17.0.2"))
    made.forwarding.in_the_way = (WALL, WALL6)
    return made


def test_attach_warns_and_succeeds(fake: FakeHost) -> None:
    assert run(fake).warnings == ("inet fw forward drops connections (open it)",)


def test_attach_warns_also_where_the_agent_did_the_work(fake: FakeHost) -> None:
    fake.agent.running_pid = 4242
    assert run(fake).warnings == ("inet fw forward drops connections (open it)",)


def test_status_has_them_for_people_and_programs(fake: FakeHost) -> None:
    assert status(fake.host, fake.agent, fake.connections).obstacles == ()  # nothing is served yet
    run(fake)
    found = status(fake.host, fake.agent, fake.connections)
    assert found.obstacles == (WALL,)
    assert json.loads(json.dumps(documents.of_status(found)))["obstacles"] == [
        {
            "family": "ip",
            "where": "inet fw forward",
            "message": "inet fw forward drops connections",
            "hint": "open it",
            "certain": False,
        }
    ]

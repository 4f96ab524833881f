"""What stands in the way is logged when it comes and when it goes, not at every reconcile."""

import logging

import pytest

from netshare.agent.inbox import Hint
from netshare.core.model import Family
from netshare.core.obstacle import Obstacle
from tests.fakes.engine import container
from tests.unit.agent.test_loop import run, web

WALL = Obstacle(Family.IP, "inet fw forward", "inet fw forward drops connections", "open it")


def test_each_is_told_of_once_and_when_it_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "netshare")
    fake = web(container("web-1", "172.17.0.2", exposed=(8080,)))
    fake.forwarding.in_the_way = (WALL,)

    def open_it() -> list[Hint]:
        fake.forwarding.in_the_way = ()
        return [Hint("firewall changed by nft")]

    run(fake, [Hint("timer")], open_it, [Hint("timer")])
    assert [record.getMessage() for record in caplog.records if "obstacle" in record.getMessage()] == [
        "forward obstacle='inet fw forward drops connections' hint='open it'",
        "forward obstacle_gone='inet fw forward drops connections'",
    ]

"""SCTP associations whose replica is gone: an established one is a connection, one that is not yet is tried again."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from netshare.core.model import Family, Listener, Protocol
from netshare.lab.topology import Lab
from tests.netns.machine import WEB, Machine, machine
from tests.netns.sctp import DATA, INIT, SACK, Client, Replica
from tests.netns.waiting import until

pytestmark = pytest.mark.netns

DIAMETER = Listener(3868, Protocol.SCTP, to=8080)


@pytest.fixture
def host(lab: Lab, tmp_path: Path) -> Iterator[Machine]:
    with machine(lab, tmp_path) as made:
        yield made


@contextmanager
def replicas(host: Machine, *, answers: bool = True) -> Iterator[dict[str, Replica]]:
    with ExitStack() as running:
        yield {
            name: running.enter_context(Replica(each.namespace, answers=answers))
            for name, each in host.lab.replicas.items()
        }


def client(host: Machine) -> Client:
    return Client(host.lab.client.namespace, host.at(Family.IP, DIAMETER.port))


def taker(served: dict[str, Replica]) -> str:
    """Wait until some replica has got something, and tell which."""
    until(lambda: any(each.chunks for each in served.values()), timeout=1)
    (name,) = (name for name, each in served.items() if each.chunks)
    return name


def test_a_client_that_tries_again_meets_another_replica(host: Machine) -> None:
    host.share(DIAMETER)
    with replicas(host, answers=False) as served, client(host) as trying:
        trying.send(INIT)
        dead = taker(served)
        trying.send(INIT)
        until(lambda: served[dead].chunks == [INIT, INIT])
        served.pop(dead).stop()
        host.vanish(host.lab.replicas[dead])
        assert host.reconcile().cleaned.ended == 1
        trying.send(INIT)
        assert taker(served) != dead


def test_a_client_that_tried_before_there_was_a_service(host: Machine) -> None:
    host.share(WEB)
    with replicas(host) as served, client(host) as trying:
        trying.send(INIT)
        until(lambda: bool(host.tracked()))
        assert host.share(WEB, DIAMETER).cleaned.ended == 1
        trying.establish()
        assert taker(served)


def test_an_established_association_outlives_detach(host: Machine) -> None:
    host.share(DIAMETER)
    with replicas(host), client(host) as established:
        established.establish()
        assert host.unshare().cleaned.ended == 0
        established.send(DATA)
        assert established.hears(SACK)


def test_it_ends_with_its_replica(host: Machine) -> None:
    """What the client sends then is nobody's business: it has to begin anew, and meets another replica."""
    host.share(DIAMETER)
    with replicas(host) as served, client(host) as established:
        established.establish()
        dead = taker(served)
        served.pop(dead).stop()
        host.vanish(host.lab.replicas[dead])
        assert host.reconcile().cleaned.ended == 1
        established.establish()
        established.send(DATA)
        assert established.hears(SACK)
        assert taker(served) != dead

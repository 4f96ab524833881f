"""A reconcile on a host whose kernel a newer netshare has programmed: nothing is lost that only the kernel knew."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from netshare.core.model import CheckKind, Family, HealthCheck, Listener, Protocol, Service, StaticEndpoint
from netshare.core.ruleset import Match
from netshare.errors import EngineUnreachableError, NetfilterError
from netshare.operations.attach import attach
from netshare.operations.request import AttachRequest
from netshare.operations.status import status
from netshare.reconcile import reconcile
from tests.fakes.driver import FakeClock
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host

WEB = Service("web", (Listener(80),))
AT_80 = Match(Family.IP, Protocol.TCP, 80)


@pytest.fixture
def fakes() -> FakeHost:
    made = fake_host(container("web-1", "172.17.0.2"), container("api-1", "172.17.0.3"))
    made.store.save(WEB)
    reconcile(made.host)
    made.driver.be_newer(2)
    return made


def test_where_all_is_known_it_is_made_anew(fakes: FakeHost) -> None:
    prepared = reconcile(fakes.host)
    assert prepared.change.rebuild
    assert prepared.observation.newer == 2
    assert fakes.driver.observe().intact
    assert fakes.driver.connect(AT_80)


def test_a_definition_that_can_not_be_read_keeps_all_as_it_is(fakes: FakeHost) -> None:
    before = len(fakes.driver.committed)
    fakes.store.corrupt("api")
    with pytest.raises(NetfilterError, match="while nothing is known of api"):
        reconcile(fakes.host)
    assert len(fakes.driver.committed) == before
    assert fakes.driver.connect(AT_80)
    told = [problem.message for problem in status(fakes.host, fakes.agent, fakes.connections).problems]
    assert any("a newer netshare made" in message for message in told)


def test_a_silent_engine_keeps_all_as_it_is_until_it_answers(fakes: FakeHost) -> None:
    before = len(fakes.driver.committed)
    fakes.store.delete("web")  # even with no definition: containers of that engine may have labels
    fakes.engine.die()
    with pytest.raises(NetfilterError, match="nothing is known of the labels of docker's containers"):
        reconcile(fakes.host)
    assert len(fakes.driver.committed) == before
    fakes.engine.failure = None
    assert reconcile(fakes.host).change.rebuild


def test_an_engine_that_was_never_there_is_in_nobodys_way(fakes: FakeHost) -> None:
    fakes.store.delete("web")
    fakes.store.save(Service("vm", (Listener(80),), endpoints=(StaticEndpoint(ip_address("10.0.0.2")),)))
    fakes.engine.failure = EngineUnreachableError("there is no Docker", absent=True)
    assert reconcile(fakes.host).change.rebuild


def test_a_verb_that_is_refused_leaves_its_definition_as_it_was(fakes: FakeHost) -> None:
    fakes.store.corrupt("api")
    request = AttachRequest("web", 81, Protocol.TCP, wait=False)
    with pytest.raises(NetfilterError, match="a newer netshare made"):
        attach(fakes.host, fakes.agent, fakes.sockets, request, clock=FakeClock(), progress=lambda _: None)
    assert fakes.store.load().get("web") == WEB


def test_who_was_never_probed_here_serves_on(fakes: FakeHost) -> None:
    """Whom that one's tables serve is not known: to wait for a first success would refuse clients meanwhile."""
    fakes.health.is_probed = True
    fakes.store.save(replace(WEB, health=HealthCheck(CheckKind.TCP)))
    reconcile(fakes.host)
    assert fakes.driver.connect(AT_80)

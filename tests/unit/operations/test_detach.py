from ipaddress import ip_address

import pytest

from netshare.core.model import Listener, Protocol
from netshare.errors import DefinitionError, NetfilterError, NotFoundError
from netshare.operations.detach import detach
from tests.fakes.host import FakeHost, fake_host
from tests.unit.operations.attaching import run, static


def two_listeners() -> FakeHost:
    fake = fake_host()
    run(fake, endpoints=static("10.0.0.2"))
    run(fake, port=53, protocol=Protocol.UDP)
    return fake


def test_the_whole_service() -> None:
    fake = two_listeners()
    detached = detach(fake.host, fake.agent, "web")
    assert detached.removed == (Listener(80), Listener(53, Protocol.UDP))
    assert detached.left == ()
    assert fake.store.services == {}
    assert not fake.driver.observe().ruleset.dispatches
    assert fake.forwarding.needed is False


def test_one_listener() -> None:
    fake = two_listeners()
    detached = detach(fake.host, fake.agent, "web", (53, Protocol.UDP))
    assert detached.left == (Listener(80),)
    assert fake.store.services["web"].listeners == (Listener(80),)
    assert {match.port for match in fake.driver.observe().ruleset.dispatches} == {80}


def test_the_last_listener_ends_the_service() -> None:
    fake = two_listeners()
    detach(fake.host, fake.agent, "web", (53, Protocol.UDP))
    detach(fake.host, fake.agent, "web", (80, Protocol.TCP))
    assert fake.store.services == {}


def test_a_port_on_every_address_it_is_listened_on() -> None:
    fake = fake_host()
    run(fake, endpoints=static("10.0.0.2"), listen=(ip_address("10.0.0.1"), ip_address("10.1.0.1")))
    assert len(detach(fake.host, fake.agent, "web", (80, Protocol.TCP)).removed) == 2


def test_an_unknown_service_says_what_is_near() -> None:
    fake = two_listeners()
    with pytest.raises(NotFoundError, match="no service is called wbe") as refused:
        detach(fake.host, fake.agent, "wbe")
    assert "did you mean web?" in (refused.value.hint or "")


def test_an_unknown_port_says_which_there_are() -> None:
    fake = two_listeners()
    with pytest.raises(NotFoundError, match="web has no listener on 53/tcp") as refused:
        detach(fake.host, fake.agent, "web", (53, Protocol.TCP))
    assert refused.value.hint == "it listens on 80/tcp, 53/udp"


def test_a_corrupt_definition_is_not_deleted() -> None:
    fake = two_listeners()
    fake.store.corrupt("web")
    writes = fake.store.writes
    with pytest.raises(DefinitionError):
        detach(fake.host, fake.agent, "web")
    assert fake.store.writes == writes
    assert fake.driver.observe().ruleset.dispatches


def test_a_kernel_that_refuses_leaves_the_definition() -> None:
    fake = two_listeners()
    before = fake.store.services["web"]
    for port in (None, (80, Protocol.TCP)):
        fake.driver.failure = NetfilterError("refused")
        with pytest.raises(NetfilterError):
            detach(fake.host, fake.agent, "web", port)
        assert fake.store.services["web"] == before


def test_an_engine_that_is_silent_does_not_keep_a_service() -> None:
    fake = two_listeners()
    fake.engine.die()
    detach(fake.host, fake.agent, "web")
    assert not fake.driver.observe().ruleset.dispatches


def test_by_the_agent_where_one_runs() -> None:
    fake = two_listeners()
    fake.agent.running_pid = 4242
    detach(fake.host, fake.agent, "web")
    assert fake.agent.syncs == 1
    assert not fake.driver.observe().ruleset.dispatches

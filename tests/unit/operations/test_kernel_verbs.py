"""``sync``, ``rules`` and ``reset``."""

import pytest

from netshare.core.model import ReplicaState
from netshare.errors import DefinitionError, EngineUnreachableError, NetfilterError, NetshareError
from netshare.operations.reset import reset
from netshare.operations.rules import rules
from netshare.operations.sync import sync
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host
from tests.unit.operations.attaching import run, slots, static


def served() -> FakeHost:
    fake = fake_host(container("web-1", "172.17.0.2"))
    run(fake)
    return fake


def test_sync_follows_what_changed() -> None:
    fake = served()
    fake.engine.running.append(container("web-2", "172.17.0.3"))
    found = sync(fake.host, fake.agent, fake.connections)
    assert [item.replica.state for item in found.services[0].replicas] == [ReplicaState.READY] * 2
    assert slots(fake) == ["172.17.0.2:80", "172.17.0.3:80"]


def test_sync_of_what_is_in_step_commits_nothing() -> None:
    fake = served()
    commits = len(fake.driver.committed)
    sync(fake.host, fake.agent, fake.connections)
    assert len(fake.driver.committed) == commits


def test_sync_mends_what_another_hand_damaged() -> None:
    fake = served()
    fake.driver.tamper()
    sync(fake.host, fake.agent, fake.connections)
    assert fake.driver.observe().intact


def test_sync_leaves_what_it_can_not_know() -> None:
    fake = served()
    run(fake, name="db", port=5432, endpoints=static("10.0.0.2"))
    before = fake.driver.observe()
    fake.store.corrupt("db")
    fake.engine.die()
    found = sync(fake.host, fake.agent, fake.connections)
    assert [type(problem) for problem in found.problems] == [DefinitionError, EngineUnreachableError]
    assert fake.driver.observe() == before


def test_sync_goes_through_the_agent() -> None:
    fake = served()
    fake.agent.running_pid = 4242
    sync(fake.host, fake.agent, fake.connections)
    assert fake.agent.syncs == 1
    fake.agent.failure = NetfilterError("refused")
    with pytest.raises(NetfilterError):
        sync(fake.host, fake.agent, fake.connections)


def test_rules_as_the_kernel_has_them() -> None:
    fake = served()
    held = rules(fake.host)
    assert "ip tcp 80 -> web: 172.17.0.2:80" in held.text
    assert held.is_intact
    fake.driver.tamper()
    assert not rules(fake.host).is_intact


def test_rules_of_a_kernel_that_holds_nothing() -> None:
    held = rules(fake_host().host)
    assert (held.text, held.is_empty) == ("", True)


def test_reset_empties_the_kernel_and_keeps_the_definitions() -> None:
    fake = served()
    reset(fake.host, fake.agent)
    assert rules(fake.host).is_empty
    assert fake.forwarding.needed is False
    assert "web" in fake.store.services
    sync(fake.host, fake.agent, fake.connections)
    assert slots(fake) == ["172.17.0.2:80"]


def test_reset_of_nothing_is_no_error() -> None:
    fake = fake_host()
    reset(fake.host, fake.agent)
    assert rules(fake.host).is_empty


def test_reset_beside_an_agent_would_not_last() -> None:
    fake = served()
    fake.agent.running_pid = 4242
    with pytest.raises(NetshareError, match=r"the agent \(pid 4242\) would put everything back") as refused:
        reset(fake.host, fake.agent)
    assert "systemctl stop netshare" in (refused.value.hint or "")
    assert not rules(fake.host).is_empty

import pytest

from netshare.core.model import Container, Health, Protocol, ReplicaState
from netshare.core.ruleset import Target
from netshare.errors import DefinitionError, EngineUnreachableError, NotFoundError, NotPermittedError
from netshare.operations.listing import list_services
from netshare.operations.status import ReplicaStatus, Status, status
from netshare.operations.traffic import NOT_IN_KERNEL
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host
from tests.unit.operations.attaching import HTTP, endpoint, run, static


def look(fake: FakeHost, name: str | None = None) -> Status:
    return status(fake.host, fake.agent, fake.connections, name)


def served(*containers: Container) -> FakeHost:
    fake = fake_host(*containers)
    run(fake)
    return fake


def only(found: Status) -> ReplicaStatus:
    [service] = found.services
    [replica] = service.replicas
    return replica


def test_replicas_with_their_connections() -> None:
    fake = served(container("web-1", "172.17.0.2"), container("web-2", "172.17.0.3", health=Health.UNHEALTHY))
    fake.driver.connect(HTTP, 7)
    fake.connections.open[Target(Protocol.TCP, endpoint("172.17.0.2", 80))] = 3
    found = look(fake)
    assert found.problems == ()
    assert not found.agent.is_running
    [service] = found.services
    assert service.driver == "nftables"
    healthy, unhealthy = service.replicas
    assert (healthy.replica.name, healthy.replica.state) == ("web-1", ReplicaState.READY)
    assert (healthy.connections_total, healthy.connections_active) == (7, 3)
    assert healthy.endpoints == (endpoint("172.17.0.2", 80),)
    assert (unhealthy.replica.state, unhealthy.replica.reason) == (ReplicaState.UNHEALTHY, "its HEALTHCHECK fails")
    assert unhealthy.connections_total == 0


def test_both_families_ipv4_first() -> None:
    found = look(served(container("web", "fd00::2", "172.17.0.2")))
    assert only(found).endpoints == (endpoint("172.17.0.2", 80), endpoint("fd00::2", 80))
    assert only(found).replica.state is ReplicaState.READY


def test_a_ready_replica_that_the_kernel_does_not_know_yet() -> None:
    fake = served(container("web-1", "172.17.0.2"))
    fake.engine.running = [container("web-9", "172.17.0.9")]
    replica = only(look(fake)).replica
    assert (replica.state, replica.reason) == (ReplicaState.STARTING, NOT_IN_KERNEL)


def test_rules_that_another_hand_damaged_serve_nobody() -> None:
    fake = served(container("web-1", "172.17.0.2"))
    fake.driver.tamper()
    assert only(look(fake)).replica.state is ReplicaState.STARTING


def test_a_silent_engine_leaves_what_the_kernel_holds() -> None:
    fake = served(container("web-1", "172.17.0.2", "fd00::2"))
    fake.driver.connect(HTTP, 2)
    fake.engine.die()
    found = look(fake)
    [problem] = found.problems
    assert isinstance(problem, EngineUnreachableError)
    ip4, ip6 = found.services[0].replicas
    assert (ip4.replica.name, ip6.replica.name) == ("172.17.0.2", "fd00::2")
    assert ip4.replica.state is ReplicaState.READY
    assert ip4.replica.reason == "docker does not answer: this is what the kernel holds"
    assert ip4.connections_total == 2


def test_a_silent_engine_does_not_matter_to_static_replicas() -> None:
    fake = fake_host()
    run(fake, endpoints=static("10.0.0.2"))
    fake.engine.die()
    assert look(fake).problems == ()


def test_a_corrupt_definition_does_not_hide_the_others() -> None:
    fake = served(container("web", "172.17.0.2"))
    fake.store.corrupt("old")
    found = look(fake)
    assert [item.service.name for item in found.services] == ["web"]
    [problem] = found.problems
    assert isinstance(problem, DefinitionError)
    assert look(fake, "web").problems == ()
    with pytest.raises(DefinitionError):
        look(fake, "old")


def test_one_service() -> None:
    fake = served(container("web", "172.17.0.2"))
    run(fake, name="db", port=5432, endpoints=static("10.0.0.2"))
    assert [item.service.name for item in look(fake).services] == ["db", "web"]
    assert [item.service.name for item in look(fake, "db").services] == ["db"]
    with pytest.raises(NotFoundError, match="no service is called wed"):
        look(fake, "wed")


def test_looking_changes_nothing() -> None:
    fake = served(container("web", "172.17.0.2"))
    fake.engine.running.clear()
    commits, writes = len(fake.driver.committed), fake.store.writes
    look(fake)
    assert (len(fake.driver.committed), fake.store.writes) == (commits, writes)


def test_the_right_to_ask_the_kernel_is_needed() -> None:
    fake = served(container("web", "172.17.0.2"))
    fake.driver.blindness = NotPermittedError("needs CAP_NET_ADMIN")
    with pytest.raises(NotPermittedError):
        look(fake)


def test_list_needs_neither_engine_nor_kernel() -> None:
    fake = served(container("web", "172.17.0.2"))
    fake.store.corrupt("old")
    fake.engine.die()
    fake.driver.blindness = NotPermittedError("needs CAP_NET_ADMIN")
    fake.agent.running_pid = 4242
    listing = list_services(fake.host, fake.agent)
    assert [service.name for service in listing.services] == ["web"]
    assert [type(problem) for problem in listing.problems] == [DefinitionError]
    assert listing.agent.pid == 4242
    assert listing.remarks == ("services that labels make are not listed: needs CAP_NET_ADMIN",)

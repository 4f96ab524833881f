"""Services that labels make, by the verbs: made and followed, shown, and not to be detached."""

from dataclasses import replace

import pytest

from netshare.core.model import Container, ContainerStatus, Listener, PublishedPort, ReplicaState, Source
from netshare.core.model import Protocol as Transport
from netshare.errors import (
    EngineUnreachableError,
    NetshareError,
    NotFoundError,
    NotPermittedError,
)
from netshare.operations.detach import detach
from netshare.operations.listing import list_services
from netshare.operations.reset import reset
from netshare.operations.status import Status, status
from netshare.operations.sync import sync
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host
from tests.unit.operations.attaching import HTTP, run, slots, static


def labelled(name: str, address: str = "172.17.0.2", service: str = "web", port: str = "80", **more: str) -> Container:
    values = {"service": service, "port": port, **more}
    return container(name, address, labels={f"netshare.{key}": value for key, value in values.items()})


ONE, TWO = labelled("one"), labelled("two", "172.17.0.3")


def served(*containers: Container) -> FakeHost:
    fake = fake_host(*containers)
    follow(fake)
    return fake


def follow(fake: FakeHost) -> Status:
    return sync(fake.host, fake.agent, fake.connections)


def look(fake: FakeHost, name: str | None = None) -> Status:
    return status(fake.host, fake.agent, fake.connections, name)


def owners(fake: FakeHost) -> set[str]:
    return {dispatch.service for dispatch in fake.driver.observe().ruleset.dispatches.values()}


def test_labels_alone_attach() -> None:
    fake = fake_host(ONE, TWO)
    found = follow(fake)
    assert slots(fake) == ["172.17.0.2:80", "172.17.0.3:80"]
    [service] = found.services
    assert (service.service.name, service.service.source) == ("web", Source.LABELS)
    assert [each.replica.state for each in service.replicas] == [ReplicaState.READY] * 2
    assert fake.store.services == {}
    assert fake.forwarding.needed is True
    assert [s.name for s in list_services(fake.host, fake.agent).services] == ["web"]


def test_what_is_re_created_otherwise_is_followed() -> None:
    fake = served(ONE, TWO)
    fake.engine.running = [labelled("one", port="81", to="8080"), TWO]
    follow(fake)
    assert slots(fake) == ["172.17.0.3:80"]
    assert {match.port for match in fake.driver.observe().ruleset.dispatches} == {80, 81}
    fake.engine.running = [labelled("one", service="shop", port="81")]
    follow(fake)
    assert owners(fake) == {"shop (labels)"}


def test_stopped_they_refuse_and_removed_they_are_forgotten() -> None:
    fake = served(ONE)
    fake.engine.running = [replace(ONE, status=ContainerStatus.EXITED)]
    [service] = follow(fake).services
    assert [each.replica.state for each in service.replicas] == [ReplicaState.GONE]
    assert slots(fake) == []
    fake.engine.running = []
    assert follow(fake).services == ()
    assert owners(fake) == set()


def test_nothing_is_wrong_where_no_engine_is_and_nothing_is_attached() -> None:
    fake = fake_host()
    fake.engine.failure = EngineUnreachableError("docker does not answer", absent=True)
    assert follow(fake).problems == ()
    fake.engine.failure = EngineUnreachableError("docker does not answer")
    assert follow(fake).problems == ()
    run(fake, name="db", port=5432, endpoints=static("10.0.0.2"))
    assert follow(fake).problems == ()
    assert fake.driver.observe().intact


def test_an_engine_that_may_not_be_asked_matters_to_those_who_need_it_alone() -> None:
    fake = fake_host()
    fake.engine.failure = NotPermittedError("its socket is root's")
    run(fake, name="db", port=5432, endpoints=static("10.0.0.2"))
    assert follow(fake).problems == ()


def test_an_engine_that_is_silent_keeps_what_its_labels_made() -> None:
    fake = served(ONE, TWO)
    fake.engine.die()
    found = follow(fake)
    assert slots(fake) == ["172.17.0.2:80", "172.17.0.3:80"]
    [problem] = found.problems
    assert isinstance(problem, EngineUnreachableError)
    [service] = found.services
    assert service.service == replace(service.service, name="web", source=Source.LABELS, listeners=(Listener(80),))
    assert [each.replica.name for each in service.replicas] == ["172.17.0.2", "172.17.0.3"]
    assert service.replicas[0].replica.reason == "docker does not answer: this is what the kernel holds"
    # It goes on in the same place when the engine is back.
    commits = len(fake.driver.committed)
    fake.engine.failure = None
    assert follow(fake).problems == ()
    assert len(fake.driver.committed) == commits


def test_a_reset_is_a_reset() -> None:
    fake = served(ONE)
    reset(fake.host, fake.agent)
    assert owners(fake) == set()


class TestPorts:
    def test_a_published_port_is_not_taken(self) -> None:
        rival = container("proxy", "172.17.0.9", published=(PublishedPort(80, Transport.TCP),))
        fake = fake_host(ONE, rival)
        found = follow(fake)
        assert found.services == ()
        assert [str(notice) for notice in found.notices] == [
            "container one (docker): it is not put behind 80/tcp: 80/tcp is published by container proxy (docker)"
        ]
        assert found.problems == ()
        fake.engine.running = [ONE]
        assert follow(fake).notices == ()
        assert slots(fake) == ["172.17.0.2:80"]

    def test_a_process_keeps_its_port_until_it_ends(self) -> None:
        fake = fake_host(ONE)
        fake.sockets.listening[80] = ["nginx (pid 7)"]
        [notice] = follow(fake).notices
        assert notice.reason == "it is not put behind 80/tcp: 80/tcp is in use by nginx (pid 7)"
        assert not fake.driver.observe().intact
        fake.sockets.listening.clear()
        follow(fake)
        fake.sockets.listening[80] = ["nginx (pid 8)"]
        assert follow(fake).notices == ()

    def test_where_the_kernel_does_not_tell_who_listens_nothing_is_taken(self) -> None:
        fake = fake_host(ONE)
        fake.sockets.blindness = NotPermittedError("may not ask who listens")
        [notice] = follow(fake).notices
        assert "may not ask who listens" in notice.reason

    def test_what_is_attached_goes_before(self) -> None:
        fake = served(ONE, container("shop-1", "172.17.0.9"))
        attached = run(fake, name="shop")
        assert attached.warnings == ("80/tcp was service web's, by its containers' labels: it is shop's from now on",)
        assert slots(fake) == ["172.17.0.9:80"]
        assert [notice.service for notice in look(fake).notices] == ["web"]
        assert look(fake, "shop").notices == ()
        detach(fake.host, fake.agent, "shop")
        assert slots(fake) == ["172.17.0.2:80"]


class TestAttachedAsWell:
    def test_the_definition_decides(self) -> None:
        fake = served(ONE, TWO)
        before = fake.driver.observe().ruleset.dispatches[HTTP].slots
        attached = run(fake, to=8080)
        assert attached.warnings == ()
        assert slots(fake) == ["172.17.0.2:8080", "172.17.0.3:8080"]
        assert owners(fake) == {"web"}
        [service] = look(fake).services
        assert service.service.source is Source.ATTACH
        detached = detach(fake.host, fake.agent, "web")
        assert detached.warnings == ("web goes on by its containers' labels, on 80/tcp",)
        assert fake.driver.observe().ruleset.dispatches[HTTP].slots == before

    def test_other_ports_of_its_labels_are_told_of(self) -> None:
        fake = served(ONE)
        run(fake, port=81)
        found = look(fake, "web")
        assert [service.service.listeners for service in found.services] == [(Listener(81),)]
        [notice] = found.notices
        assert notice.reason == "it is not put behind 80/tcp: web is attached by hand, and that decides"


class TestDetach:
    def test_nobody_attached_it(self) -> None:
        fake = served(ONE, TWO)
        with pytest.raises(NetshareError, match="the labels of its containers make it") as refused:
            detach(fake.host, fake.agent, "web")
        assert refused.value.exit_code == 1
        assert "run one and two without the label netshare.port" in (refused.value.hint or "")
        assert slots(fake) == ["172.17.0.2:80", "172.17.0.3:80"]

    def test_nor_while_its_engine_is_silent(self) -> None:
        fake = served(ONE)
        fake.engine.die()
        with pytest.raises(NetshareError, match="the labels of its containers make it"):
            detach(fake.host, fake.agent, "web")

    def test_what_labels_do_not_make_either_is_not_found(self) -> None:
        fake = served(ONE)
        with pytest.raises(NotFoundError, match="no service is called wep") as refused:
            detach(fake.host, fake.agent, "wep")
        assert "did you mean web?" in (refused.value.hint or "")
        with pytest.raises(NotFoundError):
            look(fake, "wep")


def test_a_bad_label_is_shown_with_the_service_it_names() -> None:
    fake = served(ONE, labelled("two", "172.17.0.3", weight="heavy"))
    assert slots(fake) == ["172.17.0.2:80"]
    found = look(fake, "web")
    [notice] = found.notices
    assert (notice.container, notice.service) == ("two", "web")
    assert [each.replica.state for each in found.services[0].replicas] == [ReplicaState.READY, ReplicaState.UNHEALTHY]


def test_a_replica_of_an_attached_service_with_a_bad_label_is_left_out_with_its_reason() -> None:
    fake = fake_host(container("web-1", "172.17.0.2"), container("web-2", "172.17.0.3", labels={"netshare.to": "x"}))
    attached = run(fake)
    assert slots(fake) == ["172.17.0.2:80"]
    assert attached.warnings == ("web-2 gets no traffic: its label netshare.to can't be used: 'x' is not a port",)


def test_a_label_says_which_of_several_ports_or_networks() -> None:
    several = container("web-1", "172.17.0.2", exposed=(8080, 9090), labels={"netshare.to": "9090"})
    fake = fake_host(several)
    run(fake)
    assert slots(fake) == ["172.17.0.2:9090"]
    run(fake, to=8080)
    assert slots(fake) == ["172.17.0.2:8080"]

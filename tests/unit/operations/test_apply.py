import pytest

from netshare.core.model import Listener, Protocol, PublishedPort, Service, Source
from netshare.errors import DefinitionError, NetfilterError, PortConflictError, UsageError
from netshare.operations.apply import Applied, Kind, apply, differences, kind
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host

WEB, API = Service("web", (Listener(80),)), Service("api", (Listener(81),))
OLD = Service("old", (Listener(82),))


@pytest.fixture
def fake() -> FakeHost:
    return fake_host(container("web-1", "172.18.0.2"), container("api-1", "172.18.0.3"))


def applied(
    fake: FakeHost, *services: Service, prune: bool = False, force: bool = False, is_dry: bool = False
) -> Applied:
    return apply(fake.host, fake.agent, fake.sockets, services, prune=prune, force=force, is_dry=is_dry)


def kinds(result: Applied) -> dict[str, Kind]:
    return {change.name: kind(change) for change in result.changes}


def served(fake: FakeHost) -> set[int]:
    return {match.port for match in fake.driver.observe().ruleset.dispatches}


def test_all_of_it_is_one_commit(fake: FakeHost) -> None:
    assert kinds(applied(fake, WEB, API)) == {"web": Kind.ADDED, "api": Kind.ADDED}
    assert (served(fake), len(fake.driver.committed)) == ({80, 81}, 1)
    again = applied(fake, WEB, API)
    assert (kinds(again), again.is_change) == ({"web": Kind.UNCHANGED, "api": Kind.UNCHANGED}, False)
    assert (fake.store.writes, len(fake.driver.committed)) == (2, 1)


def test_what_is_said_replaces_all_that_was_said(fake: FakeHost) -> None:
    applied(fake, Service("web", (Listener(80), Listener(8080)), weights=(("web-1", 3),)))
    assert kinds(applied(fake, WEB)) == {"web": Kind.CHANGED}
    assert (fake.store.services["web"], served(fake)) == (WEB, {80})


def test_others_stay_unless_they_are_pruned(fake: FakeHost) -> None:
    weights = Service("auto", (), source=Source.LABELS, weights=(("auto-1", 3),))
    for service in (OLD, weights):
        fake.store.save(service)
    assert kinds(applied(fake, WEB)) == {"web": Kind.ADDED}
    assert served(fake) == {80, 82}
    assert kinds(applied(fake, WEB, prune=True)) == {"web": Kind.UNCHANGED, "old": Kind.REMOVED}
    assert set(fake.store.services) == {"web", "auto"}
    assert served(fake) == {80}


def test_a_port_may_go_from_one_service_to_another(fake: FakeHost) -> None:
    applied(fake, WEB, API)
    applied(fake, Service("web", (Listener(81),)), Service("api", (Listener(80),)))
    assert {match.port: dispatch.service for match, dispatch in fake.driver.observe().ruleset.dispatches.items()} == {
        80: "api",
        81: "web",
    }


def test_a_port_of_one_that_stays_is_refused(fake: FakeHost) -> None:
    fake.store.save(OLD)
    with pytest.raises(PortConflictError, match="82/tcp belongs to service old"):
        applied(fake, WEB, Service("api", (Listener(82),)))
    assert set(fake.store.services) == {"old"}
    applied(fake, WEB, Service("api", (Listener(82),)), prune=True)
    assert set(fake.store.services) == {"web", "api"}


def test_a_port_that_somebody_has_is_refused_or_taken(fake: FakeHost) -> None:
    fake.engine.running.append(container("proxy", "172.17.0.9", published=(PublishedPort(81, Protocol.TCP),)))
    fake.sockets.listening[80] = ["nginx (pid 7)"]
    for port in ("80", "81"):
        with pytest.raises(PortConflictError, match=port):
            applied(fake, WEB if port == "80" else API)
    assert fake.store.services == {}
    assert len(applied(fake, WEB, API, force=True).warnings) == 2
    fake.sockets.listening[80] = ["nginx (pid 7)"]
    assert not applied(fake, WEB, API).is_change  # what is there already is asked of nobody


def test_what_the_kernel_refuses_is_put_back(fake: FakeHost) -> None:
    applied(fake, WEB, OLD)
    before = dict(fake.store.services)
    fake.driver.failure = NetfilterError("the kernel refused")
    with pytest.raises(NetfilterError):
        applied(fake, Service("web", (Listener(90),)), API, prune=True)
    assert fake.store.services == before
    assert served(fake) == {80, 82}


def test_a_definition_that_cannot_be_read_stops_all_of_it(fake: FakeHost) -> None:
    fake.store.corrupt("api")
    with pytest.raises(DefinitionError):
        applied(fake, WEB, API)
    assert fake.store.services == {}
    assert "can't be used" in applied(fake, WEB).warnings[0]


def test_one_that_cannot_be_saved_takes_the_others_back(fake: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(service: Service) -> None:
        if service.name == "api":
            raise DefinitionError("no room")
        fake.store.services[service.name] = service

    monkeypatch.setattr(fake.store, "save", save)
    with pytest.raises(DefinitionError, match="no room"):
        applied(fake, WEB, API)
    assert (fake.store.services, fake.driver.committed) == ({}, [])


def test_a_dry_run_checks_and_changes_nothing(fake: FakeHost) -> None:
    assert kinds(applied(fake, WEB, is_dry=True)) == {"web": Kind.ADDED}
    fake.sockets.listening[80] = ["nginx (pid 7)"]
    with pytest.raises(PortConflictError):
        applied(fake, WEB, is_dry=True)
    assert (fake.store.services, fake.driver.committed) == ({}, [])


def test_what_this_host_has_not_got_is_refused(fake: FakeHost) -> None:
    with pytest.raises(UsageError, match="engine"):
        applied(fake, WEB, Service("api", (Listener(81),), engine="nerdctl"))


def test_weights_for_what_labels_make(fake: FakeHost) -> None:
    weights = Service("auto", (), source=Source.LABELS, weights=(("auto-1", 3),))
    assert kinds(applied(fake, weights)) == {"auto": Kind.ADDED}
    assert fake.store.services == {"auto": weights}


def test_differences_need_nothing_but_the_definitions(fake: FakeHost) -> None:
    fake.store.save(OLD)
    fake.store.save(WEB)
    changes = differences(fake.store.load(), [WEB, API], prune=True)
    assert [kind(change) for change in changes] == [Kind.UNCHANGED, Kind.ADDED, Kind.REMOVED]

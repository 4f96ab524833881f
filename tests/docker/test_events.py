"""The Docker engine against a real dockerd: its events, and what becomes of them when Docker dies."""

import threading
from collections.abc import Iterator

import pytest

from netshare.core.model import ContainerStatus
from netshare.engine import docker_connection, docker_stream
from netshare.engine.docker import DockerEngine
from netshare.engine.protocol import EventKind
from netshare.errors import EngineUnreachableError
from netshare.lab.namespace import Namespace
from tests.docker.daemon import DockerDaemon
from tests.docker.hints import Hints
from tests.docker.lab import DockerLab

pytestmark = pytest.mark.docker


@pytest.fixture
def engine(docker_lab: DockerLab) -> Iterator[DockerEngine]:
    engine = DockerEngine(docker_lab.url)
    yield engine
    engine.close()


@pytest.fixture
def daemon() -> Iterator[DockerDaemon]:
    """A dockerd that the test may kill."""
    namespace = Namespace("docker-victim")
    daemon = DockerDaemon(namespace)
    yield daemon
    daemon.kill()
    namespace.close()


def test_a_start_is_a_change(docker_lab: DockerLab, engine: DockerEngine) -> None:
    with Hints(engine) as hints:
        container = docker_lab.run("web-1")
        [*_, start] = hints.until_action("start")
    assert (start.kind, start.container_id) == (EventKind.CHANGED, container.id)
    assert start.time_ns > 0


def test_what_is_stopped_leaves_while_it_still_runs(docker_lab: DockerLab, engine: DockerEngine) -> None:
    container = docker_lab.run("web-1", grace_ms=1500)
    with Hints(engine) as hints:
        stopping = threading.Thread(target=container.stop)
        stopping.start()
        [*before, leaving] = hints.until_action("kill")
        [seen] = engine.containers()
        stopping.join()
        after = hints.until_action("stop")
        [stopped] = engine.containers()
        container.start()
        hints.until_action("start")
        [again] = engine.containers()
    assert before == []
    assert (leaving.kind, leaving.container_id) == (EventKind.LEAVING, container.id)
    assert (seen.status, seen.leaving) == (ContainerStatus.RUNNING, True)
    assert {"disconnect", "die", "stop"} <= {event.action for event in after}
    assert stopped.status is ContainerStatus.EXITED
    assert (again.status, again.leaving) == (ContainerStatus.RUNNING, False)


def test_a_stop_signal_of_its_own_is_known(docker_lab: DockerLab, engine: DockerEngine) -> None:
    own = docker_lab.run("own", grace_ms=1500, stop_signal="SIGQUIT")
    other = docker_lab.run("other", grace_ms=1500)
    with Hints(engine) as hints:
        other.kill("SIGQUIT")  # not what `docker stop` would send it
        own.kill("SIGHUP")
        own.kill("SIGQUIT")
        [leaving] = hints.until(lambda event: event.kind is EventKind.LEAVING)
    assert leaving.container_id == own.id


def test_health_pause_rename_and_networks_are_changes(docker_lab: DockerLab, engine: DockerEngine) -> None:
    check = {"test": ["CMD", "/bin/busybox", "true"], "interval": 200_000_000}
    container = docker_lab.run("web-1")
    with Hints(engine) as hints:
        docker_lab.run("web-2", healthcheck=check)
        hints.until_action("health_status: healthy")
        container.pause()
        container.unpause()
        container.rename("web-3")
        network = docker_lab.docker.networks.create("shop")
        network.connect(container)
        network.disconnect(container)
        network.remove()
        seen = hints.until_action("destroy")
    told = list(dict.fromkeys(event.action for event in seen))  # Docker 20.10 tells of a disconnect twice
    assert told == ["pause", "unpause", "rename", "create", "connect", "disconnect", "destroy"]
    assert {event.kind for event in seen} == {EventKind.CHANGED}
    assert {event.container_id for event in seen if "connect" in event.action} == {container.id}


def test_a_silent_stream_is_replaced_and_nothing_is_told_twice(
    docker_lab: DockerLab, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_stream, "QUIET_SECONDS", 0.2)
    with Hints(engine) as hints:
        for name in ("first", "second"):
            docker_lab.docker.networks.create(name)
            assert hints.next().action == "create"
            threading.Event().wait(0.7)
        assert hints.rest() == []


def test_the_next_stream_goes_on_where_the_last_one_ended(docker_lab: DockerLab) -> None:
    engine = DockerEngine(docker_lab.url)
    stream = engine.events()
    next(stream)
    container = docker_lab.run("web-1", grace_ms=1500)
    while next(stream).action != "start":
        pass
    stream.close()  # type: ignore[attr-defined] # it is a generator: as if its reader had gone away
    container.stop()
    with Hints(engine) as hints:
        first = hints.next()
    assert (first.kind, first.action, first.container_id) == (EventKind.LEAVING, "kill", container.id)


def test_one_that_was_started_again_unseen_is_no_longer_leaving(docker_lab: DockerLab) -> None:
    engine = DockerEngine(docker_lab.url)
    container = docker_lab.run("web-1")
    stream = engine.events()
    next(stream)
    container.stop()
    while next(stream).kind is not EventKind.LEAVING:
        pass
    stream.close()  # type: ignore[attr-defined]
    container.start()
    assert [c.leaving for c in engine.containers()] == [True]
    with Hints(engine):
        assert [c.leaving for c in engine.containers()] == [False]


def test_close_ends_a_stream_that_is_blocked(engine: DockerEngine) -> None:
    with Hints(engine) as hints:
        assert hints.rest() == []
    assert isinstance(hints.error, EngineUnreachableError)


def test_a_docker_that_dies_ends_the_stream_with_an_error(daemon: DockerDaemon) -> None:
    engine = DockerEngine(daemon.url)
    assert engine.containers() == ()
    with Hints(engine) as hints:
        daemon.kill()
        error = hints.ended()
    assert isinstance(error, EngineUnreachableError)
    with pytest.raises(EngineUnreachableError):
        engine.containers()


def test_a_docker_that_hangs_is_noticed(daemon: DockerDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_stream, "QUIET_SECONDS", 0.5)
    monkeypatch.setattr(docker_connection, "ANSWER_SECONDS", 1)
    engine = DockerEngine(daemon.url)
    with Hints(engine) as hints:
        daemon.pause()
        error = hints.ended()
        with pytest.raises(EngineUnreachableError):
            engine.containers()
        daemon.resume()
    assert isinstance(error, EngineUnreachableError)

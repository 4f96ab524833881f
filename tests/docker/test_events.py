"""What only Docker does, on a real one: it tells of the stop signal. The rest is `tests/contract/test_engine.py`."""

import threading
from collections.abc import Iterator

import pytest

from netshare.core.model import ContainerStatus
from netshare.engine.docker import DockerEngine
from netshare.engine.protocol import EventKind
from tests.docker.hints import Hints
from tests.docker.lab import DockerLab

pytestmark = pytest.mark.docker


@pytest.fixture
def engine(docker_lab: DockerLab) -> Iterator[DockerEngine]:
    engine = DockerEngine(docker_lab.url)
    yield engine
    engine.close()


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


def test_a_stop_that_nobody_heard_of_is_known(docker_lab: DockerLab, engine: DockerEngine) -> None:
    leaving, staying, back = (docker_lab.run(name, grace_ms=5000) for name in ("leaving", "staying", "back"))
    staying.kill("SIGHUP")
    back.restart(timeout=1)
    leaving.kill("SIGTERM")
    assert {each.name: each.leaving for each in engine.containers()} == {
        "leaving": True,
        "staying": False,
        "back": False,
    }


def test_a_stop_signal_of_its_own_is_known(docker_lab: DockerLab, engine: DockerEngine) -> None:
    own = docker_lab.run("own", grace_ms=1500, stop_signal="SIGQUIT")
    other = docker_lab.run("other", grace_ms=1500)
    with Hints(engine) as hints:
        other.kill("SIGQUIT")  # not what `docker stop` would send it
        own.kill("SIGHUP")
        own.kill("SIGQUIT")
        [leaving] = hints.until(lambda event: event.kind is EventKind.LEAVING)
    assert leaving.container_id == own.id


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

"""Containers replaced: one suite for the fake and the real engines, so that the fake can't drift."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from netshare.engine.compatible_replacing import CompatibleReplacing
from netshare.engine.docker import DOCKER
from netshare.engine.podman import PODMAN
from netshare.engine.replacing import ReplacingEngine
from netshare.errors import NetshareError, NotFoundError
from tests.docker import image
from tests.docker.hints import eventually
from tests.docker.lab import DockerLab
from tests.fakes.engine import FakeEngine, container
from tests.fakes.replacing import FakeReplacing
from tests.podman.lab import PodmanLab
from tests.prerequisites import program, require


@dataclass
class World:
    """An engine with a container called ``web-1``, its id, and the name of its image."""

    engine: ReplacingEngine
    id: str
    image: str
    removing_itself: str


def fake() -> World:
    own = FakeEngine(container("web-1", "10.9.0.201"), container("web-9", "10.9.0.202"))
    engine = FakeReplacing(own)
    engine.self_removing.add("id-of-web-9")
    return World(engine, "id-of-web-1", "my/web:1", "id-of-web-9")


@pytest.fixture(
    params=[
        "fake",
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("podman", marks=pytest.mark.podman),
    ]
)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "fake":
        yield fake()
        return
    labs: dict[str, DockerLab] = request.getfixturevalue("real_labs")
    lab = labs[request.param]
    first, last = lab.run("web-1"), lab.run("web-9", auto_remove=True)
    product, name = (DOCKER, "docker") if request.param == "docker" else (PODMAN, "podman")
    engine = CompatibleReplacing(product, name, lab.url)
    yield World(engine, str(first.id), image.NAME, str(last.id))
    engine.close()
    lab.clear()


class _Labs(dict[str, DockerLab]):
    """Labs that are built when they are first asked for."""

    def __missing__(self, name: str) -> DockerLab:
        require(*map(program, ("gcc", "busybox", "iptables")))
        self[name] = (DockerLab if name == "docker" else PodmanLab)().__enter__()
        return self[name]


@pytest.fixture(scope="module")
def real_labs() -> Iterator[_Labs]:
    labs = _Labs()
    yield labs
    for lab in labs.values():
        lab.__exit__(None, None, None)


def test_a_second_one_is_made_and_started(world: World) -> None:
    assert world.engine.check(world.id, None)
    made = world.engine.make(world.id, None, "web-2")
    found = world.engine.look(made)
    assert found is not None
    assert (found.id, found.name, found.is_running, found.is_new) == (made, "web-2", False, True)
    assert world.engine.look("web-2") == found
    for _ in range(2):  # one that runs is left alone
        world.engine.start(made)
        found = world.engine.look(made)
        assert found is not None
        assert (found.is_running, found.is_new, found.removes_itself) == (True, False, False)


def test_one_is_stopped_and_started_again(world: World) -> None:
    for _ in range(2):
        world.engine.stop(world.id)
        found = world.engine.look(world.id)
        assert found is not None
        assert (found.is_running, found.is_new) == (False, False)
        assert found.end.startswith("exit code ")
    world.engine.start(world.id)
    found = world.engine.look(world.id)
    assert found is not None
    assert found.is_running


def test_what_is_removed_is_gone(world: World) -> None:
    for _ in range(2):
        world.engine.remove(world.id, with_volumes=True)
        assert world.engine.look(world.id) is None
        assert world.engine.look("web-1") is None
    world.engine.stop(world.id)
    for refused in (world.engine.start, world.engine.last_words):
        with pytest.raises(NotFoundError):
            refused(world.id)
    with pytest.raises(NotFoundError):
        world.engine.check(world.id, None)


def test_one_that_removes_itself_is_gone_when_it_is_stopped(world: World) -> None:
    found = world.engine.look(world.removing_itself)
    assert found is not None
    assert found.removes_itself
    world.engine.stop(world.removing_itself)
    eventually(lambda: world.engine.look(world.removing_itself) is None)
    world.engine.remove(world.removing_itself, with_volumes=False)


def test_a_name_is_taken_over_once_it_is_free(world: World) -> None:
    made = world.engine.make(world.id, world.image, "web-2")
    with pytest.raises(NetshareError, match="in use"):
        world.engine.rename(made, "web-1")
    with pytest.raises(NetshareError, match="in use"):
        world.engine.make(world.id, None, "web-2")
    world.engine.remove(world.id, with_volumes=False)
    world.engine.rename(made, "web-1")
    found = world.engine.look("web-1")
    assert found is not None
    assert found.id == made


def test_an_image_that_is_not_there_has_to_be_pulled_first(world: World) -> None:
    for refused in (world.engine.check, lambda like, wanted: world.engine.make(like, wanted, "web-2")):
        with pytest.raises(NotFoundError) as refusal:
            refused(world.id, "no/such:image")
        assert "no/such:image" in refusal.value.message
        assert "pull" in str(refusal.value.hint)
    assert world.engine.look("web-2") is None

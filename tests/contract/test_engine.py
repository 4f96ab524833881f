"""What every engine does, on the real ones: who knows one of them knows the other."""

import threading
from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from docker.types import IPAMConfig, IPAMPool

from netshare.core.model import Attachment, Container, ContainerStatus, Health, Protocol, PublishedPort
from netshare.engine import docker_connection, docker_stream
from netshare.engine.compatible import CompatibleEngine
from netshare.engine.docker import DockerEngine
from netshare.engine.podman import PodmanEngine
from netshare.engine.protocol import EventKind
from netshare.errors import EngineUnreachableError
from tests.contract.engines import World, listed
from tests.docker import image
from tests.docker.hints import Hints, eventually
from tests.docker.lab import DockerLab
from tests.podman.lab import PodmanLab
from tests.prerequisites import program, require


@pytest.fixture(
    scope="module",
    params=[pytest.param("docker", marks=pytest.mark.docker), pytest.param("podman", marks=pytest.mark.podman)],
)
def started(request: pytest.FixtureRequest) -> Iterator[World]:
    require(*map(program, ("gcc", "busybox", "iptables")))
    with DockerLab() if request.param == "docker" else PodmanLab() as lab:
        yield (World(lab, DockerEngine, "bridge") if request.param == "docker" else World(lab, PodmanEngine, "podman"))


@pytest.fixture
def world(started: World) -> Iterator[World]:
    """An engine with no container."""
    yield started
    started.lab.clear()


@pytest.fixture
def engine(world: World) -> Iterator[CompatibleEngine]:
    engine = world.follow()
    yield engine
    engine.close()


# Listing


def test_no_container_is_an_empty_listing(engine: CompatibleEngine) -> None:
    assert engine.containers() == ()


def test_a_running_container(world: World, engine: CompatibleEngine) -> None:
    started = world.lab.run("web-1", labels={"netshare.service": "web"})
    assert engine.containers() == (
        Container(
            id=str(started.id),
            name="web-1",
            engine=engine.name,
            status=ContainerStatus.RUNNING,
            labels={"netshare.service": "web"},
            attachments=(Attachment(world.network, (ip_address(world.address(started)),)),),
            exposed=frozenset({(image.PORT, Protocol.TCP)}),
        ),
    )


def test_states(world: World, engine: CompatibleEngine) -> None:
    world.lab.run("stopped").stop(timeout=10)
    world.lab.run("killed").kill()
    world.lab.run("paused").pause()
    world.lab.docker.containers.create(image.NAME, name="created")
    expected = {
        "stopped": ContainerStatus.EXITED,
        "killed": ContainerStatus.EXITED,
        "paused": ContainerStatus.PAUSED,
        "created": ContainerStatus.CREATED,
    }
    eventually(lambda: {name: container.status for name, container in listed(engine).items()} == expected)
    eventually(lambda: [a.addresses for a in listed(engine)["stopped"].attachments] == [()])
    assert all(container.obstacle is None for container in engine.containers())
    world.lab.docker.containers.get("paused").unpause()
    assert listed(engine)["paused"].status is ContainerStatus.RUNNING


def test_health(world: World, engine: CompatibleEngine) -> None:
    world.lab.run("healthy", healthcheck=world.check("true"))
    world.lab.run("unhealthy", healthcheck=world.check("false"))
    world.lab.run("starting", healthcheck=world.check("true") | {"interval": 60_000_000_000})
    world.lab.run("none")
    world.pass_time("healthy", "unhealthy")
    expected = {health.value: health for health in Health}
    eventually(lambda: {name: container.health for name, container in listed(engine).items()} == expected)


def test_several_networks_made_after_the_first_listing(world: World, engine: CompatibleEngine) -> None:
    started = world.lab.run("web-1")
    listed(engine)
    world.lab.docker.networks.create("shop").connect(started)
    world.lab.docker.networks.create("backend", internal=True).connect(started)
    expected = {
        world.network: Attachment(world.network, (ip_address(world.address(started)),)),
        "shop": Attachment("shop", (ip_address(world.address(started, "shop")),)),
        "backend": Attachment(
            "backend",
            (ip_address(world.address(started, "backend")),),
            "network backend is internal: nothing outside may reach it",
        ),
    }
    assert listed(engine)["web-1"].attachments == tuple(expected[name] for name in sorted(expected))


def test_ipv6(world: World, engine: CompatibleEngine) -> None:
    pools = [IPAMPool(subnet=subnet) for subnet in ("fd00:99::/64", "172.29.99.0/24")]
    world.lab.docker.networks.create("six", enable_ipv6=True, ipam=IPAMConfig(pool_configs=pools))
    world.lab.run("web-1", network="six")
    [attachment] = listed(engine)["web-1"].attachments
    assert [address.version for address in attachment.addresses] == [4, 6]


@pytest.mark.parametrize(
    ("mode", "words"),
    [("host", "--network host"), ("none", "--network none"), ("container:web-1", "shares the network")],
)
def test_what_dnat_cannot_reach(world: World, engine: CompatibleEngine, mode: str, words: str) -> None:
    world.lab.run("web-1")
    world.lab.docker.containers.run(
        image.NAME, ["/bin/busybox", "sleep", "60"], name="odd", network_mode=mode, detach=True
    )
    found = listed(engine)
    assert found["web-1"].obstacle is None
    assert words in (found["odd"].obstacle or "")


def test_published_ports(world: World, engine: CompatibleEngine) -> None:
    world.lab.run("web-1", ports={"8080/tcp": 18080, "53/udp": ("127.0.0.1", 5353)})
    found = listed(engine)["web-1"]
    assert found.published == (
        PublishedPort(5353, Protocol.UDP, ip_address("127.0.0.1")),
        PublishedPort(18080, Protocol.TCP),
    )
    assert found.exposed == {(8080, Protocol.TCP), (53, Protocol.UDP)}


def test_one_that_is_renamed_or_removed(world: World, engine: CompatibleEngine) -> None:
    started, other = world.lab.run("web-1"), world.lab.run("web-2")
    listed(engine)
    started.rename("api-1")
    other.remove(force=True)
    assert [(c.name, c.id) for c in engine.containers()] == [("api-1", started.id)]


def test_a_socket_that_nobody_listens_on(world: World) -> None:
    engine = world.engine(world.lab.url + ".none")
    for ask in (engine.containers, lambda: next(engine.events())):
        with pytest.raises(EngineUnreachableError, match=r"\.none: No such file or directory") as raised:
            ask()
        assert "systemctl" in (raised.value.hint or "")


# Events


def test_a_start_is_a_change(world: World, engine: CompatibleEngine) -> None:
    with Hints(engine) as hints:
        started = world.lab.run("web-1")
        [*_, start] = hints.until_action("start")
    assert (start.kind, start.container_id) == (EventKind.CHANGED, started.id)
    assert start.time_ns > 0


def test_what_is_stopped_is_known_to_leave_while_it_still_runs(world: World, engine: CompatibleEngine) -> None:
    started = world.lab.run("web-1", grace_ms=1500)
    with Hints(engine) as hints:
        stopping = threading.Thread(target=lambda: started.stop(timeout=10))
        stopping.start()
        # Whatever the hint is: who lists because of it sees.
        hints.until(lambda _: [c.leaving for c in engine.containers()] == [True])
        [leaving] = engine.containers()
        assert stopping.is_alive()
        stopping.join()
        hints.until_action("die")
        eventually(lambda: listed(engine)["web-1"].status is ContainerStatus.EXITED)
        started.start()
        hints.until_action("start")
        [again] = engine.containers()
    assert (leaving.status, leaving.leaving) == (ContainerStatus.RUNNING, True)
    assert [a.addresses for a in leaving.attachments] != [()]
    assert (again.status, again.leaving) == (ContainerStatus.RUNNING, False)


def test_a_signal_that_is_not_its_end_does_not_make_it_leave(world: World, engine: CompatibleEngine) -> None:
    world.lab.run("sleeper", grace_ms=0)
    pid_1 = world.lab.docker.containers.run(
        image.NAME, ["/bin/sh", "-c", "trap : HUP; while :; do sleep 1; done"], name="reloads", detach=True
    )
    with Hints(engine) as hints:
        pid_1.kill("SIGHUP")
        world.lab.docker.networks.create("marker").connect(pid_1)
        hints.until_action("connect")
        assert [(c.status, c.leaving) for c in engine.containers()] == [(ContainerStatus.RUNNING, False)] * 2
    assert all(hint.kind is EventKind.CHANGED for hint in hints.rest())


def test_health_pause_rename_and_networks_are_changes(world: World, engine: CompatibleEngine) -> None:
    started = world.lab.run("web-1")
    network = world.lab.docker.networks.create("shop")
    with Hints(engine) as hints:
        world.lab.run("web-2", healthcheck=world.check("true"))
        world.pass_time("web-2")
        seen = hints.until(lambda _: listed(engine)["web-2"].health is Health.HEALTHY)
        for change, action in (
            (started.pause, "pause"),
            (started.unpause, "unpause"),
            (lambda: started.rename("web-3"), "rename"),
            (lambda: network.connect(started), "connect"),
            (lambda: network.disconnect(started), "disconnect"),
        ):
            change()
            seen += hints.until_action(action)
            assert seen[-1].container_id == started.id
    assert {hint.kind for hint in seen} == {EventKind.CHANGED}


def test_a_silent_stream_is_replaced_and_nothing_is_told_twice(
    world: World, engine: CompatibleEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_stream, "QUIET_SECONDS", 0.2)
    started = world.lab.run("web-1")
    told: list[str] = []
    with Hints(engine) as hints:
        for change in ("pause", "unpause"):
            getattr(started, change)()
            told += [hint.action for hint in hints.until_action(change)]
            threading.Event().wait(0.7)
        told += [hint.action for hint in hints.rest()]
    assert [action for action in told if "pause" in action] == ["pause", "unpause"]


def test_the_next_stream_goes_on_where_the_last_one_ended(world: World) -> None:
    engine = world.follow()
    stream = engine.events()
    next(stream)
    started = world.lab.run("web-1")
    while next(stream).action != "start":
        pass
    stream.close()  # type: ignore[attr-defined] # it is a generator: as if its reader had gone away
    started.pause()
    started.unpause()
    with Hints(engine) as hints:
        told = [hint.action for hint in hints.until_action("unpause")]
    assert told[-2:] == ["pause", "unpause"]
    assert "start" not in told


def test_close_ends_a_stream_that_is_blocked(engine: CompatibleEngine) -> None:
    with Hints(engine) as hints:
        assert hints.rest() == []
    assert isinstance(hints.error, EngineUnreachableError)


def test_an_engine_that_dies_ends_the_stream_with_an_error(world: World, engine: CompatibleEngine) -> None:
    with Hints(engine) as hints:
        world.lab.daemon.down()
        error = hints.ended()
        assert isinstance(error, EngineUnreachableError)
        with pytest.raises(EngineUnreachableError) as raised:
            engine.containers()
        assert not raised.value.absent
    world.lab.daemon.up()


def test_an_engine_that_hangs_is_noticed(
    world: World, engine: CompatibleEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_stream, "QUIET_SECONDS", 0.5)
    monkeypatch.setattr(docker_connection, "ANSWER_SECONDS", 3)
    with Hints(engine) as hints:
        world.lab.daemon.pause()
        try:
            error = hints.ended()
            with pytest.raises(EngineUnreachableError):
                engine.containers()
        finally:
            world.lab.daemon.resume()
    assert isinstance(error, EngineUnreachableError)

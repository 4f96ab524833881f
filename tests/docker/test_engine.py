"""The Docker engine against a real dockerd: its listing."""

from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from docker.types import IPAMConfig, IPAMPool

from netshare.core.model import Attachment, Container, ContainerStatus, Health, Protocol, PublishedPort
from netshare.engine.docker import DockerEngine
from netshare.errors import EngineUnreachableError
from tests.docker import image
from tests.docker.hints import eventually
from tests.docker.lab import DockerLab

pytestmark = pytest.mark.docker

SECOND_NS = 1_000_000_000


@pytest.fixture
def engine(docker_lab: DockerLab) -> Iterator[DockerEngine]:
    engine = DockerEngine(docker_lab.url)
    yield engine
    engine.close()


def listed(engine: DockerEngine) -> dict[str, Container]:
    return {container.name: container for container in engine.containers()}


def test_no_container_is_an_empty_listing(engine: DockerEngine) -> None:
    assert engine.containers() == ()


def test_a_running_container(docker_lab: DockerLab, engine: DockerEngine) -> None:
    started = docker_lab.run("web-1", labels={"netshare.service": "web"})
    assert engine.containers() == (
        Container(
            id=str(started.id),
            name="web-1",
            engine="docker",
            status=ContainerStatus.RUNNING,
            labels={"netshare.service": "web"},
            attachments=(Attachment("bridge", (ip_address(docker_lab.address(started)),)),),
            exposed=frozenset({(image.PORT, Protocol.TCP)}),
        ),
    )


def test_states(docker_lab: DockerLab, engine: DockerEngine) -> None:
    docker_lab.run("stopped").stop()
    docker_lab.run("paused").pause()
    docker_lab.docker.containers.create(image.NAME, name="created")
    found = listed(engine)
    assert {name: container.status for name, container in found.items()} == {
        "stopped": ContainerStatus.EXITED,
        "paused": ContainerStatus.PAUSED,
        "created": ContainerStatus.CREATED,
    }
    assert all(container.obstacle is None for container in found.values())
    assert [a.addresses for a in found["stopped"].attachments] == [()]
    docker_lab.docker.containers.get("paused").unpause()
    assert listed(engine)["paused"].status is ContainerStatus.RUNNING


def test_health(docker_lab: DockerLab, engine: DockerEngine) -> None:
    def check(*command: str) -> dict[str, object]:
        return {"test": ["CMD", "/bin/busybox", *command], "interval": SECOND_NS // 5, "retries": 1}

    docker_lab.run("healthy", healthcheck=check("true"))
    docker_lab.run("unhealthy", healthcheck=check("false"))
    docker_lab.run("starting", healthcheck=check("true") | {"interval": 60 * SECOND_NS})
    docker_lab.run("none")
    expected = {health.value: health for health in Health}
    eventually(lambda: {name: container.health for name, container in listed(engine).items()} == expected)


def test_several_networks_made_after_the_first_listing(docker_lab: DockerLab, engine: DockerEngine) -> None:
    started = docker_lab.run("web-1")
    listed(engine)
    docker_lab.docker.networks.create("shop").connect(started)
    docker_lab.docker.networks.create("backend", internal=True).connect(started)
    shop, backend = (docker_lab.address(started, network) for network in ("shop", "backend"))
    assert listed(engine)["web-1"].attachments == (
        Attachment("backend", (ip_address(backend),), "network backend is internal: nothing outside may reach it"),
        Attachment("bridge", (ip_address(docker_lab.address(started)),)),
        Attachment("shop", (ip_address(shop),)),
    )


def test_ipv6(docker_lab: DockerLab, engine: DockerEngine) -> None:
    pool = IPAMConfig(pool_configs=[IPAMPool(subnet="fd00:99::/64")])
    docker_lab.docker.networks.create("six", enable_ipv6=True, ipam=pool)
    docker_lab.run("web-1", network="six")
    [attachment] = listed(engine)["web-1"].attachments
    assert sorted(address.version for address in attachment.addresses) == [4, 6]


@pytest.mark.parametrize(
    ("mode", "words"),
    [("host", "--network host"), ("none", "--network none"), ("container:web-1", "shares the network")],
)
def test_what_dnat_cannot_reach(docker_lab: DockerLab, engine: DockerEngine, mode: str, words: str) -> None:
    docker_lab.run("web-1")
    docker_lab.docker.containers.run(
        image.NAME, ["/bin/busybox", "sleep", "60"], name="odd", network_mode=mode, detach=True
    )
    found = listed(engine)
    assert found["web-1"].obstacle is None
    obstacle = found["odd"].obstacle
    assert obstacle is not None
    assert words in obstacle


def test_published_ports(docker_lab: DockerLab, engine: DockerEngine) -> None:
    docker_lab.run("web-1", ports={"8080/tcp": 18080, "53/udp": ("127.0.0.1", 5353)})
    found = listed(engine)["web-1"]
    assert found.published == (
        PublishedPort(5353, Protocol.UDP, ip_address("127.0.0.1")),
        PublishedPort(18080, Protocol.TCP),
    )
    assert found.exposed == {(8080, Protocol.TCP), (53, Protocol.UDP)}


def test_a_socket_that_nobody_listens_on(docker_lab: DockerLab) -> None:
    url = docker_lab.url + ".none"
    with pytest.raises(EngineUnreachableError, match=r"docker\.sock\.none: No such file or directory") as raised:
        DockerEngine(url).containers()
    assert raised.value.hint is not None
    assert "systemctl start docker" in raised.value.hint
    with pytest.raises(EngineUnreachableError):
        next(DockerEngine(url).events())

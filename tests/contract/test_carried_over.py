"""What `docker run` can say carries over to a container that is made again, on the real engines."""

from collections.abc import Iterator
from typing import Any

import pytest
from docker.types import Mount, Ulimit

from netshare.engine.compatible_replacing import CompatibleReplacing
from netshare.engine.docker import DOCKER
from netshare.engine.podman import PODMAN
from tests.docker import image
from tests.docker.lab import DockerLab
from tests.podman.lab import PodmanLab
from tests.prerequisites import program, require

OWN = ("Id", "EndpointID", "IPAddress", "MacAddress", "DNSNames", "SandboxID")
"""What each container has of its own."""


@pytest.fixture(
    params=[pytest.param("docker", marks=pytest.mark.docker), pytest.param("podman", marks=pytest.mark.podman)]
)
def lab(request: pytest.FixtureRequest) -> Iterator[DockerLab]:
    require(*map(program, ("gcc", "busybox", "iptables")))
    with DockerLab() if request.param == "docker" else PodmanLab() as made:
        api = made.docker.api
        base = api.create_container(image.NAME, ["/bin/replica"])["Id"]
        for tag in ("1", "2"):
            changes = [
                f"ENV MODE=image{tag}",
                f"ENV LEVEL=image{tag}",
                f"LABEL of=image{tag}",
                "VOLUME /data",
                f'CMD ["/bin/replica", "{tag}"]',
            ]
            api.commit(base, repository="rich", tag=tag, changes=changes)
        yield made


def said(lab: DockerLab, identity: str) -> dict[str, Any]:
    """Give what an inspection says, field by field, without what is each container's own."""
    inspected = lab.docker.api.inspect_container(identity)
    mounts = sorted((m["Type"], m["Destination"], m["RW"]) for m in inspected["Mounts"])
    wanted = {
        "Config": inspected["Config"],
        "HostConfig": inspected["HostConfig"] | {"Binds": None},  # Podman's have anonymous volumes by their names
        "Networks": inspected["NetworkSettings"]["Networks"],
        "Mounts": {"all": mounts},
    }
    short = inspected["Id"][:12]
    found: dict[str, Any] = {}
    for part, fields in wanted.items():
        for key, value in fields.items():
            for name, each in value.items() if part == "Networks" else [("", value)]:
                texts = map(str, each if isinstance(each, list) else [each])
                if name not in OWN:
                    found[f"{part}.{key}.{name}"] = sorted(text.replace(short, "ID") for text in texts)
    return found


def test_all_that_was_said_and_nothing_of_the_old_image(lab: DockerLab) -> None:
    api = lab.docker.api
    for name in ("n1", "n2"):
        lab.docker.networks.create(name, driver="bridge")
    lab.docker.volumes.create("named")
    limits = [Ulimit(name="nofile", soft=100, hard=200), Ulimit(name="nproc", soft=100, hard=200)]
    host = api.create_host_config(
        binds=["named:/named", "/usr:/srv:ro"],
        mounts=[Mount("/m1", "named2", type="volume")],
        mem_limit="64m",
        nano_cpus=500_000_000,
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 3},
        network_mode="n1",
        cap_add=["NET_RAW"],
        cap_drop=["MKNOD"],
        dns=["10.0.0.1"],
        extra_hosts={"db": "10.0.0.9"},
        tmpfs={"/t": "size=1m"},
        sysctls={"net.ipv4.tcp_syncookies": "1"},
        init=True,
        shm_size=33_554_432,
        read_only=True,
        pids_limit=55,
        ulimits=limits,
    )
    made = api.create_container(
        "rich:1",
        ["/bin/replica", "7"],
        name="web-1",
        hostname="mine",
        user="0:0",
        environment={"MODE": "mine"},
        labels={"netshare.service": "web"},
        volumes=["/anonymous"],
        stop_timeout=33,
        healthcheck={"test": ["CMD", "/bin/busybox", "true"], "interval": 10**9},
        host_config=host,
        networking_config={"EndpointsConfig": {"n1": {"Aliases": ["alias1"]}}},
    )["Id"]
    api.connect_container_to_network(made, "n2", aliases=["alias2"])
    api.start(made)
    product, name = (PODMAN, "podman") if isinstance(lab, PodmanLab) else (DOCKER, "docker")
    engine = CompatibleReplacing(product, name, lab.url)
    again = engine.make(made, "rich:2", "web-2")
    engine.start(again)
    engine.close()
    before, after = said(lab, made), said(lab, again)
    different = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert different == {"Config.Env.", "Config.Image.", "Config.Labels."}
    config = api.inspect_container(again)["Config"]
    assert {"MODE=mine", "LEVEL=image2"} <= set(config["Env"])
    assert "LEVEL=image1" not in config["Env"]
    assert config["Labels"] == {"netshare.service": "web", "of": "image2"}
    assert config["Cmd"] == ["/bin/replica", "7"]


def test_what_was_not_said_is_the_new_images(lab: DockerLab) -> None:
    made = lab.docker.containers.run("rich:1", name="web-1", detach=True)
    product, name = (PODMAN, "podman") if isinstance(lab, PodmanLab) else (DOCKER, "docker")
    engine = CompatibleReplacing(product, name, lab.url)
    again = engine.make(str(made.id), "rich:2", "web-2")
    engine.close()
    config = lab.docker.api.inspect_container(again)["Config"]
    assert {"MODE=image2", "LEVEL=image2"} <= set(config["Env"])
    assert config["Cmd"] == ["/bin/replica", "2"]
    assert config["Hostname"] == again[:12]

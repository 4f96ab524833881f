"""Docker and Podman on one host, replicas of both behind one service; and one of the two gone."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.hints import eventually
from tests.podman.admin import PodmanAdmin
from tests.podman.lab import DockerBeside, PodmanLab
from tests.prerequisites import program, require

pytestmark = [pytest.mark.podman, pytest.mark.docker]


@pytest.fixture(scope="module")
def docker_session() -> Iterator[DockerBeside]:
    require(*map(program, ("gcc", "busybox", "iptables", "nft", "crun", "dockerd")))
    with PodmanLab() as podman, DockerBeside(podman) as docker:
        yield docker


@pytest.fixture
def docker_lab(docker_session: DockerBeside) -> Iterator[DockerBeside]:
    """A host with both engines and no container."""
    yield docker_session
    docker_session.clear()
    docker_session.podman.clear()


@pytest.fixture
def admin(docker_lab: DockerBeside, tmp_path: Path) -> Iterator[PodmanAdmin]:
    """Someone with root there, and a replica of each engine."""
    admin = PodmanAdmin(docker_lab.podman, tmp_path, docker_lab)
    admin.lab.run("web-1")
    docker_lab.run("web-2")
    yield admin
    admin.finish()
    assert "netshare" not in "".join(admin.firewall().values())


def test_one_service_over_both(admin: PodmanAdmin) -> None:
    assert "-P FORWARD DROP" in admin.tool("iptables", "-S", "FORWARD")
    assert admin.attach().out == "web: 80/tcp -> 2 replicas ready (web-1, web-2)\n"
    sent = admin.requests(200)
    assert sent.failures == ()
    assert {str(address) for address in sent.clients} == {admin.lab.client_address}
    assert all(60 <= sent.answers[name] <= 140 for name in ("web-1", "web-2")), sent.answers
    assert {name: r["engine"] for name, r in admin.status().items()} == {"web-1": "podman", "web-2": "docker"}


@pytest.mark.parametrize(("engine", "name"), [("podman", "web-1"), ("docker", "web-2")])
def test_one_engine_of_two_can_be_asked_for(admin: PodmanAdmin, engine: str, name: str) -> None:
    admin.attach("--engine", engine)
    assert admin.requests(20).answers == {name: 20}


def test_the_agent_follows_both(admin: PodmanAdmin, docker_lab: DockerBeside) -> None:
    admin.attach()
    admin.start_agent()
    with admin.load() as load:
        admin.lab.run("web-3")
        docker_lab.run("web-4")
        admin.await_traffic("web-1", "web-2", "web-3", "web-4")
        sent = load.stop()
    assert sent.failures == ()
    admin.lab.stop("web-1")
    docker_lab.docker.containers.get("web-2").stop()
    admin.await_traffic("web-3", "web-4")


def test_a_verb_leaves_a_service_alone_while_one_of_its_engines_is_silent(
    admin: PodmanAdmin, docker_lab: DockerBeside
) -> None:
    admin.attach()
    for silent, said in ((admin.lab.podman, "Podman does not answer"), (docker_lab.daemon, "Docker does not answer")):
        before = admin.generation(), admin.firewall()
        silent.down(signal.SIGKILL)
        done = admin.netshare("sync")
        assert (done.code, said in done.err) == (6, True)
        assert (admin.generation(), admin.firewall()) == before
        assert admin.requests(40).answers.keys() == {"web-1", "web-2"}
        silent.up()


def test_while_podman_is_silent_the_agent_keeps_its_replicas_and_follows_dockers(
    admin: PodmanAdmin, docker_lab: DockerBeside
) -> None:
    admin.attach()
    agent = admin.start_agent()
    admin.await_traffic("web-1", "web-2")
    admin.lab.podman.down()
    eventually(lambda: any("engine=podman state=unreachable" in line for line in agent.log()))
    docker_lab.run("web-3")
    admin.await_traffic("web-1", "web-2", "web-3")
    docker_lab.docker.containers.get("web-2").stop()
    admin.await_traffic("web-1", "web-3")
    # Nor is what it holds of Podman's replicas lost when somebody clears the kernel.
    admin.tool("nft", "delete", "table", "inet", "netshare")
    agent.process.send_signal(signal.SIGHUP)
    admin.await_traffic("web-1", "web-3")
    admin.lab.podman.up()
    admin.lab.run("web-4")
    admin.await_traffic("web-1", "web-3", "web-4")


def test_while_docker_is_silent_the_agent_keeps_its_replicas_and_follows_podmans(
    admin: PodmanAdmin, docker_lab: DockerBeside
) -> None:
    docker_lab.run("web-3", restart_policy={"Name": "always"})
    admin.attach()
    agent = admin.start_agent()
    admin.await_traffic("web-1", "web-2", "web-3")
    docker_lab.daemon.down(signal.SIGKILL)
    eventually(lambda: any("engine=docker state=unreachable" in line for line in agent.log()))
    admin.lab.run("web-4")
    admin.await_traffic("web-1", "web-2", "web-3", "web-4")
    admin.lab.stop("web-1")
    admin.await_traffic("web-2", "web-3", "web-4")
    docker_lab.daemon.up()
    eventually(lambda: "INFO observe engine=docker state=reachable" in agent.log())
    admin.await_traffic("web-3", "web-4")  # without a restart policy Docker ends what it finds running


def test_docker_ended_takes_its_replicas_with_it_and_podmans_stay(admin: PodmanAdmin, docker_lab: DockerBeside) -> None:
    admin.attach()
    admin.start_agent()
    admin.await_traffic("web-1", "web-2")
    docker_lab.daemon.down(signal.SIGTERM)
    admin.await_traffic("web-1")

"""Podman's service ends, comes back, or was never there: what the kernel holds, and what netshare says."""

import pytest

from tests.docker.hints import eventually
from tests.podman.admin import PodmanAdmin

pytestmark = pytest.mark.podman

SOCKET = "unix:///run/podman/podman.sock"
MEND = "systemctl enable --now podman.socket"


@pytest.mark.parametrize("words", [("attach", "web", "81"), ("sync",), ("status",)])
def test_a_service_that_ended_is_not_one_without_containers(admin: PodmanAdmin, words: tuple[str, ...]) -> None:
    for name in ("web-1", "web-2"):
        admin.lab.run(name)
    admin.attach()
    before = admin.generation(), admin.firewall()
    admin.lab.podman.down()
    done = admin.netshare(*words)
    assert done.code == 6
    assert f"netshare: Podman does not answer at {SOCKET}: Connection refused\n  hint: " in done.err
    assert MEND in done.err
    assert (admin.generation(), admin.firewall()) == before
    assert admin.requests(40).answers.keys() == {"web-1", "web-2"}


def test_with_no_engine_at_all_both_mends_are_told(admin: PodmanAdmin) -> None:
    admin.lab.podman.down()
    admin.lab.podman.remove_socket()
    done = admin.netshare("attach", "web", "80", "-o", "json")
    assert done.code == 6
    error = done.document["error"]
    assert error["code"] == "engine_unreachable"
    assert error["message"].startswith(
        "no engine answers: Docker does not answer at unix:///var/run/docker.sock: No such "
    )
    assert f"; Podman does not answer at {SOCKET}: No such file or directory" in error["message"]
    assert "systemctl start docker" in error["hint"]
    assert MEND in error["hint"]


def test_an_engine_that_was_asked_for_and_is_absent(admin: PodmanAdmin) -> None:
    admin.lab.run("web-1")
    done = admin.netshare("attach", "web", "80", "--engine", "docker")
    assert done.code == 6
    assert done.err.startswith(
        "netshare: Docker does not answer at unix:///var/run/docker.sock: No such file or directory\n"
    )
    assert "systemctl start docker" in done.err
    admin.attach("--engine", "podman")
    admin.lab.podman.down()
    admin.lab.podman.remove_socket()
    done = admin.netshare("sync")
    assert done.code == 6
    assert MEND in done.err
    assert admin.requests(3).answers == {"web-1": 3}


def test_dockers_socket_that_leads_to_podman_is_podmans(admin: PodmanAdmin) -> None:
    (admin.lab.machine.root / "run/docker.sock").symlink_to("/run/podman/podman.sock")  # as podman-docker does
    admin.lab.run("web-1")
    admin.attach()
    assert admin.requests(3).answers == {"web-1": 3}
    assert [(r["name"], r["engine"]) for r in admin.status().values()] == [("web-1", "podman")]
    asked = admin.netshare("attach", "web", "81", "--engine", "docker")
    assert asked.code == 6
    assert "what answers at unix:///var/run/docker.sock is Podman, not Docker" in asked.err
    (admin.lab.machine.root / "run/docker.sock").unlink()


def test_the_agent_goes_on_when_the_service_ends_and_when_it_is_back(admin: PodmanAdmin) -> None:
    for name in ("web-1", "web-2"):
        admin.lab.run(name)
    admin.attach()
    agent = admin.start_agent()
    with admin.load() as load:
        admin.await_traffic("web-1", "web-2")
        before = admin.firewall()
        admin.lab.podman.down()
        eventually(lambda: any("engine=podman state=unreachable" in line for line in agent.log()))
        agent.sync()
        assert admin.firewall() == before
        # Containers need no service: what happens now is heard of when it is back.
        admin.lab.podman.run("stop", "--time", "10", "web-1")
        sent = load.stop()
    assert sent.answers.keys() == {"web-1", "web-2"}
    admin.lab.podman.up()
    admin.await_traffic("web-2")
    admin.lab.podman.run("start", "web-1")
    admin.await_traffic("web-1", "web-2")
    assert "INFO observe engine=podman state=reachable" in agent.log()

"""The agent on real containers of Podman: traffic follows replicas as they come, leave, are killed and come back."""

import time

import pytest

from netshare.lab.conversation import FailureKind
from tests.docker.hints import eventually
from tests.podman.admin import PodmanAdmin

pytestmark = pytest.mark.podman

SECOND_NS = 1_000_000_000


def test_started_replicas_take_traffic(admin: PodmanAdmin) -> None:
    admin.lab.run("web-1")
    admin.attach()
    admin.start_agent()
    with admin.load() as load:
        for name in ("web-2", "web-3"):
            admin.lab.run(name)
        admin.await_traffic("web-1", "web-2", "web-3")
        sent = load.stop()
    assert sent.failures == ()
    assert sent.answers.keys() == {"web-1", "web-2", "web-3"}


def test_a_stopped_replica_gets_nothing_new_long_before_it_ends_and_no_request_fails(admin: PodmanAdmin) -> None:
    leaving = admin.lab.run("web-1", grace_ms=4000)
    admin.lab.run("web-2")
    admin.attach()
    agent = admin.start_agent()
    with admin.load() as load:
        eventually(lambda: len(admin.lab.accepted(leaving)) > 20)
        admin.lab.stop("web-1")
        ended = time.time_ns()
        sent = load.stop()
    assert sent.failures == ()
    # Podman tells of no event before its end; that it is stopping is in its records.
    assert admin.lab.accepted(leaving)[-1] < ended - 2 * SECOND_NS
    assert any("cause='podman record" in line for line in agent.applied())
    admin.await_traffic("web-2")


def test_a_restarted_replica_comes_back_at_its_new_address(admin: PodmanAdmin) -> None:
    restarted = admin.lab.run("web-1")
    admin.lab.run("web-2")
    admin.attach()
    admin.start_agent()
    before = admin.lab.address(restarted)
    admin.lab.podman.run("restart", "--time", "1", "web-1")
    assert admin.lab.address(restarted) != before
    admin.await_traffic("web-1", "web-2")
    assert admin.status()["web-1"]["endpoint"] == f"{admin.lab.address(restarted)}:8080"


def test_a_killed_replica_is_left_out_and_taken_in_again(admin: PodmanAdmin) -> None:
    for name in ("web-1", "web-2", "web-3"):
        admin.lab.run(name)
    admin.attach()
    admin.start_agent()
    with admin.load() as load:
        admin.await_traffic("web-1", "web-2", "web-3")
        admin.lab.podman.run("kill", "web-1")
        admin.await_traffic("web-2", "web-3")
        admin.lab.podman.run("start", "web-1")
        admin.await_traffic("web-1", "web-2", "web-3")
        sent = load.stop()
    # What reached it in its last moments is lost with it, and nothing more.
    lost = [failure.at for failure in sent.failures]
    assert not lost or max(lost) - min(lost) < 2.0


def test_a_signal_to_reload_does_not_take_a_replica_out(admin: PodmanAdmin) -> None:
    script = "trap 'touch /reloaded' HUP; /bin/replica & while :; do wait; done"
    admin.lab.podman.run(
        "run", "--detach", "--name", "web-1", "--hostname", "web-1", "netshare-test", "/bin/sh", "-c", script
    )
    admin.attach()
    agent = admin.start_agent()
    with admin.load() as load:
        admin.await_traffic("web-1")
        admin.lab.podman.run("kill", "--signal", "HUP", "web-1")
        eventually(lambda: admin.lab.podman.try_run("exec", "web-1", "/bin/busybox", "ls", "/reloaded")[0] == 0)
        agent.sync()
        sent = load.stop()
    assert sent.failures == ()
    assert agent.applied() == []


def test_paused_replicas_are_left_out(admin: PodmanAdmin) -> None:
    for name in ("web-1", "web-2"):
        admin.lab.run(name)
    admin.attach()
    admin.start_agent()
    admin.lab.podman.run("pause", "web-1")
    admin.await_traffic("web-2")
    admin.lab.podman.run("unpause", "web-1")
    admin.await_traffic("web-1", "web-2")


def test_all_replicas_removed_refuses_at_once(admin: PodmanAdmin) -> None:
    for name in ("web-1", "web-2"):
        admin.lab.run(name)
    admin.attach()
    admin.start_agent()
    admin.await_traffic("web-1", "web-2")
    admin.lab.podman.run("rm", "--force", "--time", "0", "--all")
    eventually(lambda: admin.requests(5, timeout=1.0).failures_by_kind == {FailureKind.REFUSED: 5})
    admin.lab.run("web-3")
    admin.await_traffic("web-3")


def test_podman_that_was_never_there_is_noticed_when_it_comes(admin: PodmanAdmin) -> None:
    admin.lab.podman.down()
    admin.lab.podman.remove_socket()
    agent = admin.start_agent()
    admin.attach("--no-wait", "--endpoint", "192.0.2.1")  # needs no engine
    assert {line.split(" reason=")[0] for line in agent.log() if "observe engine=" in line} == {
        "INFO observe engine=docker state=absent",  # either first: they are asked at the same time
        "INFO observe engine=podman state=absent",
    }
    admin.lab.podman.up()
    admin.lab.run("web-1")
    assert admin.netshare("detach", "web").code == 0
    eventually(lambda: "INFO observe engine=podman state=reachable" in agent.log())
    admin.attach()
    admin.await_traffic("web-1")

"""The agent on real containers: traffic follows replicas as they come, leave, are killed and come back."""

import threading
import time

import pytest

from netshare.lab.conversation import FailureKind
from tests.docker.admin import Admin
from tests.docker.hints import eventually

pytestmark = pytest.mark.docker

SECOND_NS = 1_000_000_000
KERNEL_NS = SECOND_NS // 2
"""How long after Docker's word a connection may still come. It is a hundredth of that (scripts/bench measures
it); but a machine may be busy, and what matters is that the replicas here live three times as long."""

LISTENING = {
    "test": ["CMD-SHELL", "/bin/busybox grep -q ':1F90 00000000:0000 0A' /proc/net/tcp"],
    "interval": SECOND_NS // 5,
}
"""A HEALTHCHECK: something listens on port 8080. To Docker a container runs before its program has come that far."""


def test_a_new_replica_takes_traffic(admin: Admin) -> None:
    admin.lab.run("web-1")
    admin.attach()
    admin.start_agent()
    with admin.load() as load:
        added = admin.lab.run("web-2", healthcheck=LISTENING)
        eventually(lambda: bool(admin.lab.accepted(added)))
        sent = load.stop()
    assert sent.failures == ()
    assert sent.answers.keys() == {"web-1", "web-2"}


SLOW = ["/bin/sh", "-c", "/bin/busybox sleep 2; exec /bin/replica 0"]
"""A program that takes its time before it listens."""


def test_a_new_replica_that_nobody_checks_waits_until_it_listens(admin: Admin) -> None:
    admin.lab.run("web-1")
    admin.attach()
    admin.start_agent()
    with admin.load() as load:
        added = admin.lab.run("web-2", entrypoint=SLOW)
        eventually(lambda: "web-2" in admin.status())
        before = admin.status()["web-2"]
        eventually(lambda: bool(admin.lab.accepted(added)))
        admin.await_traffic("web-1", "web-2")
        sent = load.stop()
    assert (before["state"], before["reason"]) == ("starting", "it takes no connections yet: connection refused")
    assert sent.failures == ()
    assert sent.answers.keys() == {"web-1", "web-2"}
    assert admin.status()["web-2"]["state"] == "ready"


def test_one_is_given_connections_at_once_where_that_is_asked_for(admin: Admin) -> None:
    """The control of the test above."""
    admin.lab.run("web-1")
    admin.attach("--health", "none")
    admin.start_agent()
    with admin.load() as load:
        added = admin.lab.run("web-2", entrypoint=SLOW)
        eventually(lambda: bool(admin.lab.accepted(added)))
        sent = load.stop()
    assert sent.failures_by_kind.keys() == {FailureKind.REFUSED}


def test_a_stopped_replica_gets_nothing_new_and_no_request_fails(admin: Admin) -> None:
    leaving = admin.lab.run("web-1", grace_ms=1500)
    admin.lab.run("web-2")
    admin.lab.run("web-3")
    admin.attach()
    admin.start_agent()
    with admin.load() as load:
        eventually(lambda: len(admin.lab.accepted(leaving)) > 20)
        began = time.time()
        leaving.stop()
        sent = load.stop()
    assert sent.failures == ()
    killed = admin.killed_at("web-1", began)
    accepted = admin.lab.accepted(leaving)
    assert accepted[-1] <= killed + KERNEL_NS
    assert sum(sent.answers.values()) > len(accepted) + 20
    admin.await_traffic("web-2", "web-3")


def test_an_open_connection_to_a_leaving_replica_goes_on(admin: Admin) -> None:
    leaving = admin.lab.run("web-1", grace_ms=1000)
    admin.attach()
    agent = admin.start_agent()
    with admin.lab.converse() as conversation:
        conversation.ask()
        began = time.time()
        stopping = threading.Thread(target=leaving.stop)
        stopping.start()
        eventually(lambda: bool(agent.applied()))
        assert conversation.ask().replica == "web-1"
        assert admin.requests(5, timeout=1.0).failures_by_kind == {FailureKind.REFUSED: 5}
        assert conversation.ask().replica == "web-1"
        stopping.join()
    assert len([at for at in admin.lab.accepted(leaving) if at > admin.killed_at("web-1", began)]) == 0


def test_a_killed_replica_is_left_out_and_taken_in_again(admin: Admin) -> None:
    killed = admin.lab.run("web-1", healthcheck=LISTENING)
    for name in ("web-2", "web-3"):
        admin.lab.run(name)
    admin.attach()
    admin.start_agent()
    with admin.load() as load:
        eventually(lambda: len(admin.lab.accepted(killed)) > 20)
        killed.kill()
        admin.await_traffic("web-2", "web-3")
        accepted = len(admin.lab.accepted(killed))
        killed.start()
        eventually(lambda: len(admin.lab.accepted(killed)) > accepted)
        sent = load.stop()
    admin.await_traffic("web-1", "web-2", "web-3")
    # What reached it in its last moments is lost with it, and nothing more.
    assert len(sent.failures) < 20
    lost = [failure.at for failure in sent.failures]
    assert not lost or max(lost) - min(lost) < 1.0


def test_all_replicas_stopped_refuses_at_once(admin: Admin) -> None:
    replicas = [admin.lab.run(f"web-{number}") for number in (1, 2)]
    admin.attach()
    agent = admin.start_agent()
    for replica in replicas:
        replica.stop()
    agent.sync()
    sent = admin.requests(20, timeout=1.0)
    assert sent.failures_by_kind == {FailureKind.REFUSED: 20}
    assert {name: r["state"] for name, r in admin.status().items()} == {"web-1": "gone", "web-2": "gone"}
    replicas[0].start()
    admin.await_traffic("web-1")


def test_paused_and_unhealthy_replicas_are_left_out(admin: Admin) -> None:
    check = {"test": ["CMD-SHELL", "! test -e /ill"], "interval": SECOND_NS // 5, "retries": 1}
    admin.lab.run("web-1")
    paused = admin.lab.run("web-2")
    ill = admin.lab.run("web-3", healthcheck=check)
    admin.attach()
    admin.start_agent()
    admin.await_traffic("web-1", "web-2", "web-3")
    ill.exec_run(["/bin/busybox", "touch", "/ill"])
    admin.await_traffic("web-1", "web-2")
    paused.pause()
    admin.await_traffic("web-1")
    paused.unpause()
    ill.exec_run(["/bin/busybox", "rm", "/ill"])
    admin.await_traffic("web-1", "web-2", "web-3")


def test_a_burst_of_changes_ends_in_the_right_place(admin: Admin) -> None:
    replicas = [admin.lab.run(f"web-{number}") for number in range(1, 7)]
    admin.attach()
    admin.start_agent()
    stopping = [threading.Thread(target=replica.stop) for replica in replicas[:5]]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join()
    admin.await_traffic("web-6")
    for replica in replicas[:3]:
        replica.restart()
    admin.await_traffic("web-1", "web-2", "web-3", "web-6")

"""Containers that drain, by hand and by `docker stop`, with the agent as a process that may be killed meanwhile."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from docker.models.containers import Container

from tests.docker.admin import Admin
from tests.docker.hints import eventually

pytestmark = pytest.mark.docker


PATIENT = 120
"""Seconds that a container goes on for after its stop signal, and that Docker waits before it kills it."""


@contextmanager
def stopping(container: Container) -> Iterator[threading.Thread]:
    """Have `docker stop` go on meanwhile; in the end the container ends."""
    thread = threading.Thread(target=container.stop, kwargs={"timeout": PATIENT})
    thread.start()
    try:
        yield thread
    finally:
        container.kill()
        thread.join()


def patient(admin: Admin, name: str, **labels: str) -> Container:
    """Start a replica that does not end because it was told to."""
    return admin.lab.run(
        name, grace_ms=PATIENT * 1000, labels={f"netshare.{key}": word for key, word in labels.items()}
    )


def state(admin: Admin, name: str) -> str:
    return str(admin.status()[name]["state"])


def test_a_long_request_is_finished_while_its_container_is_stopped(admin: Admin) -> None:
    leaving = patient(admin, "web-1")
    admin.lab.run("web-2")
    admin.attach()
    admin.start_agent()
    with admin.talk_to("web-1") as request, stopping(leaving):
        eventually(lambda: state(admin, "web-1") == "draining")
        replica = admin.status()["web-1"]
        assert replica["reason"].startswith("stopping, its stop signal was sent: 1 connection left, ")
        assert 0 < replica["drain"]["seconds_left"] <= 30
        assert admin.requests(40).answers.keys() == {"web-2"}
        assert request.ask().replica == "web-1"
    eventually(lambda: state(admin, "web-1") == "gone")
    assert not (admin.runtime / "drains.json").exists()


def test_what_outlives_the_deadline_is_cut_although_its_container_lives(admin: Admin) -> None:
    leaving = patient(admin, "web-1", drain="2s")
    admin.lab.run("web-2")
    admin.attach()
    agent = admin.start_agent()
    with admin.talk_to("web-1") as request, stopping(leaving) as going_on:
        eventually(lambda: state(admin, "web-1") == "draining")
        assert request.ask().replica == "web-1"
        eventually(lambda: any("deadline=over cut=1" in line for line in agent.log()))
        with pytest.raises(ConnectionResetError):
            request.ask()
        assert going_on.is_alive()
        assert admin.status()["web-1"]["reason"].endswith("0 connections left, 1 cut at the deadline")


def test_an_agent_killed_while_a_container_is_being_stopped(admin: Admin) -> None:
    """Docker itself calls the container running: its successor, and every verb, know from the drain that was noted."""
    leaving = patient(admin, "web-1")
    admin.lab.run("web-2")
    admin.attach()
    agent = admin.start_agent()
    with admin.talk_to("web-1") as request, stopping(leaving):
        eventually(lambda: state(admin, "web-1") == "draining")
        agent.end(signal.SIGKILL)
        assert admin.netshare("sync").code == 0
        assert state(admin, "web-1") == "draining"
        admin.start_agent()
        assert state(admin, "web-1") == "draining"
        assert admin.requests(40).answers.keys() == {"web-2"}
        assert request.ask().replica == "web-1"
    leaving.start()
    admin.await_traffic("web-1", "web-2")


def test_one_that_was_started_again_while_no_agent_ran_is_served(admin: Admin) -> None:
    leaving = patient(admin, "web-1")
    admin.lab.run("web-2")
    admin.attach()
    agent = admin.start_agent()
    with stopping(leaving):
        eventually(lambda: state(admin, "web-1") == "draining")
        agent.end(signal.SIGKILL)
    leaving.start()
    assert admin.netshare("sync").code == 0
    assert state(admin, "web-1") == "ready"
    admin.await_traffic("web-1", "web-2")


def test_drained_by_hand_then_stopped_no_request_fails(admin: Admin) -> None:
    """A server that ends at once on its stop signal, as most do: `docker stop` alone would cost the requests it has."""
    admin.lab.run("web-1")
    one = admin.lab.run("web-2")
    admin.attach()
    admin.start_agent()
    with admin.load() as load:
        eventually(lambda: len(admin.lab.accepted(one)) > 20)
        done = admin.netshare("drain", "web", "web-2", "--wait")
        assert done.code == 0, done
        assert done.out.startswith("web: web-2 has no connections left after ")
        one.stop()
        sent = load.stop()
    assert sent.failures == ()


def test_it_lasts_through_a_restart_and_ends_with_the_container(admin: Admin) -> None:
    one = admin.lab.run("web-1")
    admin.lab.run("web-2")
    admin.attach()
    admin.start_agent()
    assert admin.netshare("drain", "web", str(one.id)[:12]).code == 0
    one.restart(timeout=1)
    admin.await_traffic("web-2")
    assert state(admin, "web-1") == "draining"
    one.remove(force=True)
    eventually(lambda: not (admin.runtime / "drains.json").exists())
    admin.lab.run("web-1")
    admin.await_traffic("web-1", "web-2")
    gone = admin.netshare("drain", "web", str(one.id)[:12])
    assert (gone.code, "web has no replica" in gone.err) == (3, True)


def test_resumed_it_is_served_at_once_and_a_stopping_one_is_not_to_be_resumed(admin: Admin) -> None:
    one = patient(admin, "web-1")
    admin.lab.run("web-2")
    admin.attach()
    admin.start_agent()
    assert admin.netshare("drain", "web", "web-1").code == 0
    assert admin.requests(40).answers.keys() == {"web-2"}
    assert admin.netshare("resume", "web", "web-1").out == "web: web-1 is resumed: it takes new connections\n"
    assert admin.requests(40).answers.keys() == {"web-1", "web-2"}
    with stopping(one):
        eventually(lambda: state(admin, "web-1") == "draining")
        refused = admin.netshare("resume", "web", "web-1")
    assert (refused.code, "it was sent its stop signal" in refused.err) == (1, True)

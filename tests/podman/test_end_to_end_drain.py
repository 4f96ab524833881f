"""A container of Podman's that is stopped drains by itself, and is cut at its deadline."""

import os
import signal
import threading

import pytest

from tests.docker.hints import eventually
from tests.podman.admin import PodmanAdmin

pytestmark = pytest.mark.podman

PATIENT = 120
"""Seconds that a container goes on for after its stop signal, and that Podman waits before it kills it."""


def test_a_stop_is_a_drain_and_what_outlives_its_deadline_is_cut(admin: PodmanAdmin) -> None:
    admin.lab.run("web-1", grace_ms=PATIENT * 1000)
    admin.lab.run("web-2")
    admin.attach("--drain", "3s")
    agent = admin.start_agent()
    process = int(admin.lab.podman.run("inspect", "--format", "{{.State.Pid}}", "web-1"))
    with admin.talk_to("web-1") as request:
        stopping = threading.Thread(target=admin.lab.podman.run, args=("stop", "--time", str(PATIENT), "web-1"))
        stopping.start()
        try:
            eventually(lambda: any("drain service=web replica=web-1 cause='stop'" in line for line in agent.log()))
            assert admin.requests(40).answers.keys() == {"web-2"}
            replica = admin.status()["web-1"]
            assert (replica["state"], replica["drain"]["cause"]) == ("draining", "stop")
            eventually(lambda: any("deadline=over cut=1" in line for line in agent.log()))
            with pytest.raises(ConnectionResetError):
                request.ask()
        finally:
            os.kill(process, signal.SIGKILL)
            stopping.join()
    eventually(lambda: not (admin.runtime / "drains.json").exists())

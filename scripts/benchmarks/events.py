"""How soon the kernel follows Docker: from the word that a container leaves to the commit, from start to traffic.

A dockerd of its own in network namespaces of its own (the tests' Docker lab), a service of two replicas, and the agent
as it runs on a host. One replica is stopped and started again and again.
"""

import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from docker.models.containers import Container

from netshare.lab.conversation import Conversation
from scripts.benchmarks.commits import Commits, Record, first
from scripts.benchmarks.processes import BenchmarkError
from scripts.benchmarks.results import Recorder
from tests.docker.admin import PORT, Admin
from tests.docker.lab import DockerLab

STOP, START, RUNNING = "event to kernel", "start event to first answer", "process started to first answer"
SIDE = "netshare"
_PATIENCE = 20.0
_IDLE = 0.7
"""Seconds until the agent has looked once more, and is idle as on a host where little happens."""


class Events:
    """When Docker did what, by its own clock."""

    def __init__(self, lab: DockerLab, container: Container) -> None:
        self.record: Record = []
        about = {"type": "container", "container": str(container.id), "event": ["kill", "start"]}
        self._stream = lab.docker.events(decode=True, filters=about)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for event in self._stream:
            self.record.append((int(event["timeNano"]), str(event["Action"])))

    def close(self) -> None:
        """End the stream."""
        self._stream.close()


def measure(recorder: Recorder, *, rounds: int | None, log: Callable[[str], None]) -> None:
    """Stop and start one of two replicas."""
    stops = 2 if recorder.is_quick else 10 * (rounds or 3)
    recorder.say(
        f"""
        A real dockerd; one of two replicas is stopped and started {stops} times. Event to kernel: from the time that
        Docker itself gives its `kill` event, which comes before the signal is sent, to the agent's commit, as the
        kernel tells it to whoever listens. First answer: of that replica, to a client outside that asks all the time.
        """
    )
    with DockerLab() as lab, tempfile.TemporaryDirectory(prefix="bench-events-") as directory:
        admin = Admin(lab, Path(directory))
        try:
            _measure(recorder, admin, stops, log)
        finally:
            admin.finish()


def _measure(recorder: Recorder, admin: Admin, stops: int, log: Callable[[str], None]) -> None:
    lab = admin.lab
    lab.run("web-1")
    container = lab.run("web-2")
    admin.attach()
    agent = admin.start_agent()
    program = Path(f"/proc/{agent.process.pid}/comm").read_text(encoding="utf-8").strip()
    commits, events = Commits(lab.host), Events(lab, container)
    for number in range(stops):
        log(f"stop and start {number + 1} of {stops}")
        agent.sync()
        since = time.time_ns()
        container.stop()
        killed = first(events.record, "kill".__eq__, since)
        recorder.record(STOP, SIDE, "ms", (commits.first(killed, program=program) - killed) / 1e6)
        time.sleep(_IDLE)
        since = time.time_ns()
        container.start()
        now = _answered(lab, "web-2")
        recorder.record(START, SIDE, "ms", (now - first(events.record, "start".__eq__, since)) / 1e6)
        recorder.record(RUNNING, SIDE, "ms", (now - _started_ns(container)) / 1e6)
        time.sleep(_IDLE)
    events.close()


def _answered(lab: DockerLab, replica: str) -> int:
    """Ask again and again until this replica answers; when it did."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            with Conversation(lab.client, lab.at(PORT), timeout=1.0) as conversation:
                if conversation.ask().replica == replica:
                    return time.time_ns()
        except OSError:
            continue
    raise BenchmarkError(f"{replica} never answered")


def _started_ns(container: Container) -> int:
    """Look up State.StartedAt."""
    container.reload()
    whole, _, fraction = str(container.attrs["State"]["StartedAt"]).removesuffix("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()
    return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0"))

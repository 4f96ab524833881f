"""Docker as an engine: its containers by one listing, its events as hints, through the docker SDK.

What answers mean is `docker_answers`, what events mean `docker_events`; here is what has a memory: who is leaving.
"""

import time
from collections.abc import Callable, Mapping
from signal import SIGTERM
from threading import Lock
from typing import TYPE_CHECKING

from netshare.core.model import Container
from netshare.engine import docker_answers as answers
from netshare.engine import docker_events
from netshare.engine.answers import Answer, mapping, time_ns
from netshare.engine.compatible import CompatibleEngine
from netshare.engine.docker_connection import Address, Product
from netshare.engine.docker_stream import EventStream
from netshare.engine.protocol import EngineEvent, EventKind

if TYPE_CHECKING:
    import docker

DOCKER = Product(
    name="Docker",
    usual_url="unix:///var/run/docker.sock",
    start_hint="is Docker running (systemctl start docker), and is DOCKER_HOST right?",
    permission_hint="run netshare as root (sudo), or as a member of the docker group",
)


class DockerEngine(CompatibleEngine):
    """The Docker engine behind one socket; ``base_url`` is what DOCKER_HOST says.

    Who was sent its stop signal before this process began to listen, Docker's last events tell, and ``left`` those that
    are older, with the time (nanoseconds since 1970): it is asked once. Who has started again since is none of them.
    """

    name = answers.ENGINE
    _filters = docker_events.FILTERS

    def __init__(self, base_url: str | None = None, left: Callable[[], Mapping[str, int]] = dict) -> None:
        super().__init__(Address.of(DOCKER, base_url))
        self._rootless = False
        self._networks: dict[str, answers.Network] = {}
        self._stop_signals: dict[str, int] = {}
        self._leaving_lock = Lock()
        self._leaving: dict[str, int] = {}
        self._left: Callable[[], Mapping[str, int]] | None = left

    def _meet(self, client: "docker.APIClient") -> None:
        said = self._info(client)
        self._rootless = answers.is_rootless(said)
        if self._left is not None:
            self._catch_up(client, _system_time(said))

    def _now(self, client: "docker.APIClient") -> int:
        return _system_time(self._info(client))

    def _since(self, time_ns: int) -> str:
        return docker_events.since(time_ns)

    def _list(self, client: "docker.APIClient") -> tuple[Container, ...]:
        with self._address.translated():
            listing: object = client.containers(all=True)
        if not isinstance(listing, list):
            raise self._address.unreachable("its listing of containers is not a list")
        # What is known of a network never goes stale: its driver and options are fixed when it is created.
        if not answers.attached_network_ids(listing) <= self._networks.keys():
            with self._address.translated():
                self._networks = answers.networks(client.networks())
        with self._leaving_lock:
            leaving = frozenset(self._leaving)
        return answers.containers(listing, self._networks, rootless=self._rootless, leaving=leaving)

    def _hint(self, client: "docker.APIClient", raw: docker_events.RawEvent) -> EngineEvent | None:
        event = docker_events.hint(raw, self._stop_signal(client, raw))
        if event is not None:
            self._remember(event, raw)
        return event

    def _remember(self, event: EngineEvent, raw: docker_events.RawEvent) -> None:
        """Keep who is leaving until it starts again: Docker's listing calls it running to its last breath."""
        with self._leaving_lock:
            if event.kind is EventKind.LEAVING:
                self._leaving[raw.id] = raw.time_ns
            elif raw.action in (docker_events.START, docker_events.DESTROY):
                self._leaving.pop(raw.id, None)
        if raw.action == docker_events.DESTROY:
            self._stop_signals.pop(raw.id, None)

    def _stop_signal(self, client: "docker.APIClient", raw: docker_events.RawEvent) -> int:
        """Ask for a container's own stop signal, once, and only when it was sent a signal that might be it."""
        if raw.action != docker_events.KILL or raw.signal in docker_events.ENDING:
            return SIGTERM
        if raw.id not in self._stop_signals:
            config = mapping(self._inspect(client, raw.id).get("Config"))
            self._stop_signals[raw.id] = docker_events.signal_number(config.get("StopSignal")) or SIGTERM
        return self._stop_signals[raw.id]

    def _catch_up(self, client: "docker.APIClient", now_ns: int) -> None:
        """Learn who was sent its stop signal while no stream was open; drop those that started again, or are gone."""
        for raw in self._past_kills(client, now_ns):
            self._hint(client, raw)
        with self._leaving_lock:
            if self._left is not None:
                self._leaving, self._left = {**self._left(), **self._leaving}, None
            leaving = dict(self._leaving)
        for identity, left_ns in leaving.items():
            state = mapping(self._inspect(client, identity).get("State"))
            if not state or time_ns(state.get("StartedAt")) > left_ns:
                with self._leaving_lock:
                    self._leaving.pop(identity, None)

    def _past_kills(self, client: "docker.APIClient", now_ns: int) -> list[docker_events.RawEvent]:
        """Ask for the signals that still matter of the last 256 events: Docker keeps no more (moby daemon/events)."""
        until = docker_events.since(now_ns)
        stream = EventStream(client, self._address, "0", docker_events.KILL_FILTERS, until)
        try:
            return docker_events.unended_kills(
                raw for raw in map(docker_events.read, stream.lines()) if raw is not None
            )
        finally:
            stream.release()

    def _inspect(self, client: "docker.APIClient", identity: str) -> Answer:
        """Look one container up; an empty answer where it is gone."""
        import docker.errors

        with self._address.translated():
            try:
                return mapping(client.inspect_container(identity))
            except docker.errors.NotFound:
                return {}


def _system_time(said: Answer) -> int:
    return time_ns(said.get("SystemTime")) or time.time_ns()

"""Podman as an engine: its containers by both of its APIs, its events and its records as hints, through the docker SDK.

Docker's API, which Podman speaks beside its own (libpod), is enough for events and addresses; the rest of a container
is only in libpod's answers: see `podman_answers`, and `podman_events` for what events are worth here.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from netshare.core.event import Stage, event
from netshare.core.model import Container
from netshare.engine import podman_answers as answers
from netshare.engine import podman_events
from netshare.engine.compatible import CompatibleEngine
from netshare.engine.docker_connection import Address, Product
from netshare.engine.docker_events import RawEvent
from netshare.engine.merging import Source, merged
from netshare.engine.podman_records import Records
from netshare.engine.protocol import EngineEvent, EventKind

if TYPE_CHECKING:
    from pathlib import Path

    import docker

PODMAN = Product(
    name="Podman",
    usual_url="unix:///run/podman/podman.sock",
    start_hint="does Podman listen (systemctl enable --now podman.socket), and is CONTAINER_HOST right?",
    permission_hint="run netshare as root (sudo): root's Podman is root's alone",
    has_libpod=True,
)

_LIBPOD = "/v4.0.0/libpod"
"""The oldest version of libpod's API that Podman 4, 5 and 6 all serve."""
RECORD = "record"
"""What is told, in an event's place, when Podman's records were written to, or a health check has run."""

_LEAST_SECONDS = 0.02
_CALM = 4.0
"""How many times as long as a listing takes the records are left alone after a change: what follows them is listing."""

_log = logging.getLogger(__name__)


class PodmanEngine(CompatibleEngine):
    """The Podman behind one socket; ``base_url`` is what CONTAINER_HOST says."""

    name = answers.ENGINE
    _filters = podman_events.FILTERS

    def __init__(self, base_url: str | None = None) -> None:
        super().__init__(Address.of(PODMAN, base_url))
        self._rootless = False
        self._facts: dict[str, answers.Facts] = {}
        self._listing_seconds = 0.0
        self._storage: Path | None = None
        self._records: Records | None = None

    def _meet(self, client: "docker.APIClient") -> None:
        # Asked for /info, Podman 4.3 thinks for half a second; that it is root's is known from who listens.
        user = self._address.probe()
        self._rootless = answers.is_rootless(self._info(client)) if user is None else user != 0

    def _now(self, client: "docker.APIClient") -> int:
        said = 0 if self._address.is_local else answers.system_time_ns(self._info(client))
        return said or time.time_ns()

    def _since(self, time_ns: int) -> str:
        return podman_events.since(time_ns)

    def _catch_up(self, client: "docker.APIClient", now_ns: int) -> None:
        """Nothing: who is leaving is in every listing."""

    # Listing

    def _list(self, client: "docker.APIClient") -> tuple[Container, ...]:
        began = time.monotonic()
        with self._address.translated():
            listing = self._ask(client, "/containers/json", all="true")
            if not isinstance(listing, list):
                raise self._address.unreachable("its listing of containers is not a list")
            self._learn(client, listing)
            compatible: object = client.containers(all=True)
            networks = answers.obstacles(self._ask(client, "/networks/json"))
        self._listing_seconds = time.monotonic() - began
        return answers.containers(listing, compatible, networks, self._facts, rootless=self._rootless)

    def _learn(self, client: "docker.APIClient", listing: object) -> None:
        """Inspect those that were not listed before, and forget those that are not listed any more."""
        import docker.errors

        facts: dict[str, answers.Facts] = {}
        for identity in answers.ids(listing):
            with suppress(docker.errors.NotFound):  # then it is gone already
                known = self._facts.get(identity)
                facts[identity] = known or answers.facts(self._ask(client, f"/containers/{identity}/json"))
        self._facts = facts

    @staticmethod
    def _ask(client: "docker.APIClient", path: str, **parameters: str) -> object:
        """Ask for something in Podman's own API."""
        import docker.errors
        import requests

        response = client.get(f"{client.base_url}{_LIBPOD}{path}", params=parameters, timeout=client.timeout)
        try:
            response.raise_for_status()
        except requests.HTTPError as error:
            docker.errors.create_api_error_from_http_exception(error)  # raises, in Podman's own words
        return response.json()

    # Events

    def _hint(self, client: "docker.APIClient", raw: RawEvent) -> EngineEvent | None:  # noqa: ARG002 (Docker's is asked)
        if raw.action == podman_events.HEALTH and self._records is not None:
            self._records.nudge()
            return None
        return podman_events.hint(raw)

    def _follow(self, client: "docker.APIClient") -> Iterator[EngineEvent]:
        """Read events and, from when they are subscribed to, watch the records: whatever comes first is told first."""
        events = Source(lambda: super(PodmanEngine, self)._follow(client), self._interrupt)
        with closing(Records()) as records:
            self._records = records
            self._watch(client, records)
            yield from merged(events, Source(lambda: self._recorded(records), records.end))

    def _recorded(self, records: Records) -> Iterator[EngineEvent]:
        for time_ns in records.changes(lambda: max(_LEAST_SECONDS, _CALM * self._listing_seconds)):
            yield EngineEvent(EventKind.CHANGED, action=RECORD, time_ns=time_ns)

    def _watch(self, client: "docker.APIClient", records: Records) -> None:
        """Find the records of a Podman on this host, once, and have them watched."""
        if not self._address.is_local:
            return
        if self._storage is None:
            with self._address.translated():
                self._storage = answers.storage(self._ask(client, "/info"))
        if self._storage is not None:
            try:
                records.watch(self._storage)
            except OSError as error:
                _log.warning(event(Stage.OBSERVE, engine=self.name, records="unwatched", reason=error.strerror))

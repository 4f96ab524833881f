"""Docker's API, as far as netshare asks it, over a table of containers: it can be killed, cut off and started again.

What is seldom with a real engine is a call away here: thousands of changes a minute, a daemon that dies in the middle
of an answer, streams that break. What real daemons do is for `tests/docker` to show.
"""

import json
import re
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from urllib.parse import parse_qs, urlsplit

from tests.unit.engine.docker_samples import BRIDGE, NETWORKS, docker_20, endpoint

_LISTENED = 1.0
_KEPT = 20_000
_REMEMBERED = 256
_VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10.24"}


@dataclass(frozen=True, slots=True)
class Simulated:
    """A container: its state and health in Docker's words."""

    id: str
    name: str
    address: str
    state: str = "running"
    health: str = ""
    leaving: bool = False
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def listed(self) -> dict[str, object]:
        """Describe it as the listing does."""
        ending = {"starting": " (health: starting)"}.get(self.health, f" ({self.health})" if self.health else "")
        has_address = self.state in ("running", "paused")
        return docker_20(
            Id=self.id,
            Names=[f"/{self.name}"],
            State=self.state,
            Status=f"Up 2 minutes{ending}" if has_address else "Exited (0) 1 second ago",
            Labels=dict(self.labels),
            Ports=[{"PrivatePort": 8080, "Type": "tcp"}],
            NetworkSettings={"Networks": {"bridge": endpoint(BRIDGE, self.address if has_address else "")}},
        )


@lru_cache(maxsize=4096)  # a thousand of them are listed ten times a second
def _packed(container: Simulated) -> bytes:
    return json.dumps(container.listed).encode()


class SimulatedDocker:
    """A daemon at a socket; its containers outlive it, as with live-restore."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self._path = path
        self._lock = threading.Condition()
        self._containers: dict[str, Simulated] = {}
        self._events: list[tuple[int, bytes]] = []
        self._started: dict[str, int] = {}
        self._streams: set[socket.socket] = set()
        self._era = 0
        self._server: ThreadingUnixStreamServer | None = None
        self._thread: threading.Thread | None = None
        self.up()

    # What an admin does

    def up(self) -> None:
        """Start the daemon, unless it runs."""
        if self._server is not None:
            return
        self._path.unlink(missing_ok=True)
        docker = self

        class Handler(_Handler):
            daemon = docker

        self._server = ThreadingUnixStreamServer(str(self._path), Handler)
        self._server.daemon_threads = True
        self._server.request_queue_size = 128
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def down(self) -> None:
        """Kill it: whoever listens is cut off; the socket's file stays, as it does."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._server = None
        self.cut()

    @property
    def is_up(self) -> bool:
        """Whether it answers."""
        return self._server is not None

    def cut(self) -> None:
        """Break every stream of events, and nothing else."""
        with self._lock:
            self._era += 1
            streams, self._streams = self._streams, set()
            self._lock.notify_all()
        for stream in streams:
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)

    # What containers do

    def put(self, container: Simulated, *actions: str) -> None:
        """Have a container be like this, and tell of it in these words."""
        with self._lock:
            self._containers[container.id] = container
            self._tell(container, actions)

    def change(self, identity: str, *actions: str, **fields: object) -> Simulated:
        """Change a container, and tell of it."""
        with self._lock:
            changed = replace(self._containers[identity], **fields)  # type: ignore[arg-type]
            self._containers[identity] = changed
            self._tell(changed, actions)
            return changed

    def drop(self, identity: str, *actions: str) -> None:
        """Remove a container, and tell of it."""
        with self._lock:
            self._tell(self._containers.pop(identity), actions)

    def containers(self) -> dict[str, Simulated]:
        """Give all there are, by name."""
        with self._lock:
            return {each.name: each for each in self._containers.values()}

    def _tell(self, container: Simulated, actions: Iterable[str]) -> None:
        for action in actions:
            now = max(time.time_ns(), self._events[-1][0] + 1 if self._events else 0)
            if action == "start":
                self._started[container.id] = now
            attributes = {"name": container.name, "signal": "15"} if action == "kill" else {"name": container.name}
            actor = {"ID": container.id, "Attributes": attributes}
            said = {"Type": "container", "Action": action, "Actor": actor, "timeNano": now, "time": now // 10**9}
            self._events.append((now, json.dumps(said).encode() + b"\n"))
        del self._events[:-_KEPT]
        self._lock.notify_all()

    # What it answers

    def listing(self) -> bytes:
        """Answer ``GET /containers/json``."""
        with self._lock:
            found = list(self._containers.values())
        return b"[%s]" % b",".join(map(_packed, found))

    def inspection(self, identity: str) -> dict[str, object] | None:
        """Answer ``GET /containers/ID/json``."""
        with self._lock:
            found, started_ns = self._containers.get(identity), self._started.get(identity, 0)
        if found is None:
            return None
        seconds, nanoseconds = divmod(started_ns, 10**9)
        started = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
        return {"Id": identity, "State": {"StartedAt": started}, "Config": {"StopSignal": "SIGTERM"}}

    def past_events(self) -> bytes:
        """Tell of what is over, as far as Docker would remember."""
        with self._lock:
            return b"".join(line for _, line in self._events[-_REMEMBERED:])

    def events_after(self, time_ns: int, stream: socket.socket) -> Iterable[bytes]:
        """Tell of what happened since, and goes on to happen, until the stream is cut."""
        with self._lock:
            era = self._era
            self._streams.add(stream)
        try:
            while True:
                with self._lock:
                    new = [(at, line) for at, line in self._events[-500:] if at >= time_ns]
                    if len(new) == len(self._events[-500:]):
                        new = [(at, line) for at, line in self._events if at >= time_ns]
                    if self._era != era:
                        return
                    if not new:
                        self._lock.wait(_LISTENED)
                        continue
                time_ns = new[-1][0] + 1
                yield b"".join(line for _, line in new)
        finally:
            with self._lock:
                self._streams.discard(stream)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    daemon: SimulatedDocker

    def handle(self) -> None:
        """Answer until the peer goes, which may be killed at any moment."""
        with suppress(OSError):
            super().handle()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = re.sub(r"^/v[0-9.]+/", "/", url.path)
        with suppress(OSError):
            asked = parse_qs(url.query)
            if path == "/events" and "until" not in asked:
                self._stream(asked.get("since", ["0"])[0])
            else:
                self._answer(path)

    def _answer(self, path: str) -> None:
        named = re.fullmatch(r"/containers/([0-9a-f]+)/json", path)
        answers: dict[str, object] = {
            "/_ping": "OK",
            "/info": {"SystemTime": _now()},
            "/version": _VERSION,
            "/networks": NETWORKS,
        }
        body = self.daemon.inspection(named.group(1)) if named else answers.get(path)
        body = self.daemon.listing() if path == "/containers/json" else body
        body = self.daemon.past_events() if path == "/events" else body
        content = (
            body if isinstance(body, bytes) else json.dumps(body or {"message": f"no such thing: {path}"}).encode()
        )
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, since: str) -> None:
        seconds, _, nanoseconds = since.partition(".")
        time_ns = int(seconds) * 10**9 + int((nanoseconds + "0" * 9)[:9])
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        for lines in self.daemon.events_after(time_ns, self.connection):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(lines), lines))

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
        """Say nothing."""


def _now() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds:09d}Z"

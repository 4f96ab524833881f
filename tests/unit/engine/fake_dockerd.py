"""A Docker API of a few answers, on a real Unix socket: what a real engine does only when it is broken."""

import json
import re
import tempfile
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from queue import Queue
from socketserver import ThreadingUnixStreamServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tests.unit.engine.docker_samples import NETWORKS

INFO = {"SystemTime": "2026-11-22T07:54:49.467183628Z", "SecurityOptions": ["name=seccomp,profile=default"]}


class FakeDockerd:
    """``answers`` are by path, as (status, body); what is put into ``events`` is sent: text, or `None` to hang up.

    ``past`` is what it remembers: the events it tells to who asks for those until now. To a path among ``silent`` it
    never answers. ``headers`` come with every answer.
    """

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, object]] = {
            "/info": (200, INFO),
            "/networks": (200, NETWORKS),
            "/containers/json": (200, []),
            "/_ping": (200, "OK"),
        }
        self.past: list[dict[str, object]] = []
        self.events: Queue[str | None] = Queue()
        self.silent: set[str] = set()
        self.headers = {"Api-Version": "1.41"}
        self.ending = threading.Event()
        self.asked: list[str] = []
        self.since: list[str] = []
        self._directory = tempfile.TemporaryDirectory(prefix="fake-dockerd-")
        path = Path(self._directory.name) / "docker.sock"
        self.url = f"unix://{path}"
        fake = self

        class Handler(_Handler):
            dockerd = fake

        self._server = ThreadingUnixStreamServer(str(path), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def tell(self, *events: dict[str, object]) -> None:
        """Send events."""
        for event in events:
            self.events.put(json.dumps(event) + "\n")

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.events.put(None)
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._directory.cleanup()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    dockerd: FakeDockerd

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = re.sub(r"^/v[0-9.]+/", "/", url.path)
        self.dockerd.asked.append(path)
        if path in self.dockerd.silent:
            self.dockerd.ending.wait()
        elif path in self.dockerd.answers:
            status, body = self.dockerd.answers[path]
            self._answer(status, body)
        elif path == "/events":
            asked = parse_qs(url.query)
            if "until" in asked:
                self._answer(200, "".join(json.dumps(event) + "\n" for event in self.dockerd.past))
            else:
                self.dockerd.since.extend(asked["since"])
                self._stream()
        else:
            self._answer(404, {"message": f"no such thing: {path}"})

    def _answer(self, status: int, body: object) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in self.dockerd.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while (event := self.dockerd.events.get()) is not None:
            content = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.close_connection = True

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
        """Say nothing."""

"""An upstream that holds every request until it is told to let go: who waits at once is counted, not timed."""

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

_PATIENCE = 60.0


class Gate:
    """Stands where the slow API does, for as long as the ``with`` block lasts; open at first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = True
        self._passes = 0
        self._arrived = 0
        self._held = 0
        self._most_held = 0
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """UPSTREAM_URL."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    @property
    def most_held(self) -> int:
        """How many requests waited here at once, at most, since it was closed."""
        return self._most_held

    def close(self) -> None:
        """Hold what comes from now on."""
        with self._changed:
            self._open = False
            self._passes = 0
            self._arrived = 0
            self._most_held = 0

    def await_arrived(self, number: int) -> None:
        """Wait until that many have come since it was closed."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._arrived >= number, _PATIENCE), f"only {self._arrived} came"

    def let_pass(self, number: int) -> None:
        """Let that many go on."""
        with self._changed:
            self._passes += number
            self._changed.notify_all()

    def open(self) -> None:
        """Let all go on."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _pass(self) -> None:
        with self._changed:
            if self._open:
                return
            self._arrived += 1
            self._held += 1
            self._most_held = max(self._most_held, self._held)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._open or self._passes > 0)
            self._passes -= 1
            self._held -= 1
            self._changed.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        wait = self._pass

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wait()
                body = json.dumps({"advice": "Wait.", "number": 1}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def refuses(port: int) -> bool:
    """Whether nobody listens on a port of the loopback any more."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0

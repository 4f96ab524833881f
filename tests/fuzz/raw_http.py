"""An engine's API spoken by something that knows neither HTTP nor when to stop."""

import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hypothesis import strategies as st

from netshare.engine.docker import DockerEngine
from netshare.engine.podman import PodmanEngine
from netshare.errors import NetshareError
from tests.fuzz.hostile import bent_json, damaged
from tests.unit.engine import docker_samples
from tests.unit.engine.docker_samples import event

_PING = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\n%sContent-Length: 2\r\n\r\nOK"
_LIBPOD = b"Libpod-API-Version: 4.3.1\r\n"


def _framed(body: bytes, *, chunked: bool) -> bytes:
    if not chunked:
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    pieces = [body[at : at + 100] for at in range(0, len(body), 100)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n" % chunks


_bodies = bent_json([docker_samples.docker_20()]) | bent_json(event("container", "die", {}, "a" * 64)).map(
    lambda line: line + b"\n"
)
_framings = st.builds(lambda body, chunked: _framed(body, chunked=chunked), _bodies, st.booleans())
answers = _framings.flatmap(damaged) | st.binary(max_size=200).map(
    lambda junk: b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(junk), junk)
)
"""What is sent for every question but the first."""


def check_engine(answer: bytes) -> None:
    """Ask for a listing and for events: either there is an answer, or an error of netshare's."""
    with _serving(answer, b"") as url:
        _ask(DockerEngine(url))
    with _serving(answer, _LIBPOD) as url:
        _ask(PodmanEngine(url))


def _ask(engine: DockerEngine | PodmanEngine) -> None:
    try:
        with suppress(NetshareError):
            engine.containers()
        with suppress(NetshareError):
            for _ in engine.events():
                pass
    finally:
        engine.close()


@contextmanager
def _serving(answer: bytes, product: bytes) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="netshare-fuzz-") as directory, socket.socket(socket.AF_UNIX) as listening:
        path = Path(directory) / "engine.sock"
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=_serve, args=(listening, answer, _PING % product), daemon=True)
        thread.start()
        yield f"unix://{path}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listening: socket.socket, answer: bytes, ping: bytes) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                asked = connection.recv(65536)
                if asked.startswith((b"GET /_ping", b"GET /v1.41/_ping")):
                    connection.sendall(ping)
                elif b"/info" in asked.split(b"\r\n", 1)[0]:
                    connection.sendall(_framed(json.dumps({"SystemTime": ""}).encode(), chunked=False))
                elif asked:
                    connection.sendall(answer)

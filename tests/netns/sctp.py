"""Two ends of an SCTP association out of raw sockets, with just enough of RFC 9260 for connection tracking.

Many kernels track and translate SCTP without speaking it themselves.
"""

import socket
import struct
from functools import cache
from threading import Event
from types import TracebackType
from typing import Self

from netshare.core.model import Endpoint
from netshare.lab.namespace import Namespace
from tests.netns.waiting import until

DATA, INIT, INIT_ACK, SACK, COOKIE_ECHO, COOKIE_ACK = 0, 1, 2, 3, 10, 11
_ANSWERS = {INIT: INIT_ACK, COOKIE_ECHO: COOKIE_ACK, DATA: SACK}
_COMMON = struct.Struct("!HHI")
_TAG = {"client": 0x11111111, "replica": 0x22222222}


class Replica:
    """Answers what comes, or does not; ``chunks`` are what came, one after the other."""

    def __init__(self, namespace: Namespace, *, answers: bool = True) -> None:
        self.chunks: list[int] = []
        self._answers = answers
        self._stopped = Event()
        self._socket = _raw(namespace)
        self._running = namespace.start_thread(self._serve)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopped.set()
        self._running.result(timeout=10)
        self._socket.close()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                packet, (address, _) = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            source, destination, chunk = _read(packet)
            self.chunks.append(chunk)
            if self._answers and chunk in _ANSWERS:
                answer = _write(destination, source, _TAG["client"], _ANSWERS[chunk], _TAG["replica"])
                self._socket.sendto(answer, (address, 0))


class Client:
    """Sends from one port, as many peers of telephone networks must."""

    def __init__(self, namespace: Namespace, to: Endpoint, port: int = 2905) -> None:
        self._to = to
        self._port = port
        self._socket = _raw(namespace)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, chunk: int) -> None:
        tag = 0 if chunk == INIT else _TAG["replica"]
        packet = _write(self._port, self._to.port, tag, chunk, _TAG["client"])
        self._socket.sendto(packet, (str(self._to.address), 0))

    def hears(self, chunk: int) -> bool:
        """Wait for an answer from where it sends to."""
        heard: list[bool] = []

        def look() -> bool:
            try:
                packet, (address, _) = self._socket.recvfrom(4096)
            except TimeoutError:
                return False
            source, destination, found = _read(packet)
            heard.append((address, source, destination, found) == (*self._whom(), self._port, chunk))
            return heard[-1]

        until(look, timeout=2)
        return True

    def establish(self) -> None:
        for chunk in (INIT, COOKIE_ECHO):
            self.send(chunk)
            assert self.hears(_ANSWERS[chunk])

    def _whom(self) -> tuple[str, int]:
        return str(self._to.address), self._to.port


def _raw(namespace: Namespace) -> socket.socket:
    made = namespace.run(socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_SCTP)
    made.settimeout(0.05)
    return made


def _write(source: int, destination: int, tag: int, chunk: int, own_tag: int) -> bytes:
    body = {
        INIT: struct.pack("!IIHHI", own_tag, 65536, 1, 1, 1),
        INIT_ACK: struct.pack("!IIHHIHH4s", own_tag, 65536, 1, 1, 1, 7, 8, b"tart"),
        COOKIE_ECHO: b"tart",
        COOKIE_ACK: b"",
        DATA: struct.pack("!IHHI4s", 1, 0, 0, 0, b"data"),
        SACK: struct.pack("!IIHH", 1, 65536, 0, 0),
    }[chunk]
    flags = 3 if chunk == DATA else 0  # a whole message
    header = _COMMON.pack(source, destination, tag)
    chunks = struct.pack("!BBH", chunk, flags, 4 + len(body)) + body
    return header + struct.pack("<I", _crc32c(header + bytes(4) + chunks)) + chunks


def _read(packet: bytes) -> tuple[int, int, int]:
    """Give ports and the first chunk; a raw socket of IPv4 hears the IP header too."""
    payload = packet[(packet[0] & 0xF) * 4 :]
    source, destination, _ = _COMMON.unpack_from(payload)
    return source, destination, payload[12]


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _table()[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        return value

    return tuple(map(entry, range(256)))

"""A UDP client that sends from one port, all the time: what a resolver, a phone or a game does."""

import errno
import json
import socket
import time
from contextlib import suppress
from threading import Event
from types import TracebackType
from typing import Self

from netshare.core.model import Endpoint
from netshare.lab.namespace import Namespace
from tests.netns.waiting import until

_PORT = 40_000
_INTERVAL = 0.01
_ENOUGH = 5
_REFUSED = ""


class Sender:
    """Sends a datagram every 10 ms; whether that meets somebody new shows in less than a second."""

    def __init__(self, namespace: Namespace, to: Endpoint, port: int = _PORT) -> None:
        self._outcomes: list[str] = []  # who answered, one after the other, or that nobody was there
        self._stopped = Event()
        family = socket.AF_INET if to.address.version == 4 else socket.AF_INET6
        self._socket = namespace.run(socket.socket, family, socket.SOCK_DGRAM)
        self._socket.bind(("", port))
        self._socket.connect((str(to.address), to.port))
        self._socket.settimeout(_INTERVAL)
        self._running = namespace.start_thread(self._send)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._running.result(timeout=10)
        self._socket.close()

    def answerer(self) -> str:
        """Wait until one and the same answers, and tell who."""
        answerer = self._settled()
        assert answerer != _REFUSED
        return answerer

    def is_refused(self) -> bool:
        """Wait until it is told that nobody is there, or that somebody is."""
        return self._settled() == _REFUSED

    def is_silent(self, seconds: float = 0.3) -> bool:
        """Watch for a while that nothing comes back."""
        time.sleep(5 * _INTERVAL)
        before = len(self._outcomes)
        time.sleep(seconds)
        return len(self._outcomes) == before

    def _settled(self) -> str:
        """Wait until the same thing has come back a few times; some of before may still be on its way."""
        seen = len(self._outcomes)
        until(lambda: len(self._outcomes) >= seen + _ENOUGH and len(set(self._outcomes[-_ENOUGH:])) == 1, timeout=1)
        return self._outcomes[-1]

    def _send(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            try:
                self._socket.send(b"\n")
                with suppress(TimeoutError):
                    self._outcomes.append(str(json.loads(self._socket.recv(4096))["replica"]))
            except ConnectionRefusedError:  # told by ICMP, of this datagram or the one before
                self._outcomes.append(_REFUSED)
            except OSError as error:  # likewise, and the sender tries on
                if error.errno not in (errno.EHOSTUNREACH, errno.ENETUNREACH):
                    raise

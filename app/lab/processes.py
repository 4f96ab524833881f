"""A server as a process: started, waited for until it answers, ended by a signal."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_PATIENCE = 60.0
_PAUSE = 0.02
_PORTS = range(18_000, 32_000)  # below those that the kernel gives to clients: none is taken between look and use
_LOG_TAIL = 3000


Popen = Callable[..., "subprocess.Popen[bytes]"]
"""`subprocess.Popen`, or what starts a process in another network namespace."""


class Server:
    """A process that serves, from when it is made until `stop`; what it says goes to a file."""

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        popen: Popen = subprocess.Popen,
        **options: Any,  # noqa: ANN401 (Popen's own)
    ) -> None:
        self._log = log
        self.name = " ".join(argv[:4])
        with log.open("ab") as file:
            self._process = popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # a group of its own, which can be ended as one
                **options,
            )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """What it ended with, ``None`` while it runs."""
        return self._process.poll()

    def log(self) -> str:
        """Give the end of what it said."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL:]

    def wait_until(self, condition: Callable[[], bool]) -> Self:
        """Wait until it does what it was started for."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            if self.code is not None:
                raise RuntimeError(f"{self.name} ended with {self.code}: {self.log()}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} was not ready in {_PATIENCE:g} s: {self.log()}")
            time.sleep(_PAUSE)
        return self

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self, timeout: float = _PATIENCE) -> int:
        """Wait for its end."""
        return self._process.wait(timeout)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it, by force if need be; a second time does nothing."""
        if self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self._process.wait()
                raise
        return self._process.returncode

    def __enter__(self) -> Self:
        """Return the server, which runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.stop()


def takes_connections(address: str, port: int) -> bool:
    """Whether someone listens there."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((address, port)) == 0


def free_port() -> int:
    """Find a TCP port that nobody listens on."""
    while True:
        port = random.choice(_PORTS)  # noqa: S311 (no secret)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))  # noqa: S104 (any local address)
            except OSError:
                continue
            return port

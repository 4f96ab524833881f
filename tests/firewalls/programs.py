"""The real ufw and the real firewalld, each in a room of its own, and told what an admin tells them."""

import os
import subprocess
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from netshare.lab.namespace import Namespace
from tests.firewalls.confinement import Confinement

_START_SECONDS = 30


class Ufw:
    """ufw as it comes: it drops what comes in and what is forwarded."""

    def __init__(self, namespace: Namespace) -> None:
        self._room = Confinement(namespace, "/etc/ufw", "/etc/default/ufw")

    def __enter__(self) -> Self:
        """Enable it."""
        self.tell("--force", "enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disable it."""
        try:
            self.tell("--force", "disable")
        finally:
            self._room.close()

    def tell(self, *words: str) -> str:
        """Run the ``ufw`` command."""
        return self._room.run("ufw", *words)

    def reload(self) -> None:
        """Have it load its rules again."""
        assert "Firewall reloaded" in self.tell("reload")


class Firewalld:
    """firewalld as it comes, with a system bus of its own."""

    def __init__(self, namespace: Namespace) -> None:
        self._room = Confinement(namespace, "/etc/firewalld")
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def bus(self) -> str:
        """DBUS_SYSTEM_BUS_ADDRESS, for a dockerd that is to know of it."""
        return f"unix:path={self._room.root}/run/dbus/system_bus_socket"

    def __enter__(self) -> Self:
        """Start the bus and it."""
        try:
            self._start("dbus-daemon", "--system", "--nofork", "--nopidfile")
            self._until(lambda: os.path.exists(self.bus.removeprefix("unix:path=")))  # noqa: PTH110 (a socket)
            self._start("firewalld", "--nofork", "--nopid")
            self._until(self._answers)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, which takes its rules away, and then the bus."""
        for process in reversed(self._processes):
            process.terminate()
            process.wait(_START_SECONDS)
        self._room.close()

    def tell(self, *words: str) -> str:
        """Run the ``firewall-cmd`` command."""
        return self._room.run("firewall-cmd", *words)

    def reload(self) -> None:
        """Have it load its rules again."""
        assert self.tell("--reload") == "success\n"

    def _start(self, *words: str) -> None:
        self._processes.append(self._room.start(*words))

    def _answers(self) -> bool:
        assert self._processes[-1].poll() is None, self._room.said("firewalld")
        try:
            return self.tell("--state") == "running\n"
        except AssertionError:
            return False

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self._room.said("firewalld")
            time.sleep(0.05)


Firewall = Ufw | Firewalld

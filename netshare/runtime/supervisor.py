"""What the agent tells systemd of itself: that it is ready, how it stands, that it still goes round (sd_notify(3)).

A datagram of ``KEY=VALUE`` lines to the socket that ``NOTIFY_SOCKET`` names; where none is named, nobody is told. With
``WatchdogSec`` systemd restarts an agent it has not heard of for that long: so the loop itself tells, and not a thread
of its own that would go on while the loop hangs.
"""

import logging
import os
import socket
from collections.abc import MutableMapping

from netshare.core.event import Stage, event

_log = logging.getLogger(__name__)
_MICROSECONDS = 1_000_000


class Supervisor:
    """The service manager that started this process, if one wants to hear of it."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        """Take what is meant for this process out of the environment: the programs it starts are not it."""
        self._address = environment.pop("NOTIFY_SOCKET", "")
        self.patience = _patience(environment)
        self._is_ready = False
        self._said = ""

    def reconciled(self, state: str, *, went_well: bool) -> None:
        """Tell that the loop has gone round once more, and how it stands; ready it is when that first went well."""
        lines = ["WATCHDOG=1"]
        if went_well and not self._is_ready:
            self._is_ready = True
            lines.append("READY=1")
        if state != self._said:
            self._said = state
            lines.append(f"STATUS={' '.join(state.split())}")
        self._tell(*lines)

    def stopping(self) -> None:
        """Tell that this process is about to end."""
        self._tell("STOPPING=1", "STATUS=the kernel goes on with what it holds")

    def _tell(self, *lines: str) -> None:
        # "@" stands for the NUL byte of an abstract address; other kinds (vsock) are for virtual machines.
        if not self._address.startswith(("/", "@")):
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as telling:
            try:
                telling.connect(address)
                telling.send("\n".join(lines).encode())
            except OSError as error:
                _log.warning(event(Stage.NOTIFY, address=self._address, reason=error.strerror))


def _patience(environment: MutableMapping[str, str]) -> float | None:
    """Give the seconds that systemd lets pass between two words of this process; ``None``: any number."""
    microseconds, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
    is_ours = pid in ("", str(os.getpid()))
    return int(microseconds) / _MICROSECONDS if is_ours and microseconds.isdecimal() and int(microseconds) else None

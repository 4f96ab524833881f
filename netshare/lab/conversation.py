"""One client in the lab: it asks a replica who it is, and whom it sees asking."""

import errno
import json
import socket
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from netshare.core.model import Endpoint, IPAddress, Protocol
from netshare.lab.namespace import Namespace

_LONGEST_ANSWER = 4096


class FailureKind(StrEnum):
    """How a request can fail."""

    REFUSED = "refused"
    RESET = "reset"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    CLOSED = "closed"
    """The connection was taken and then closed without an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a replica said: its name, and the client it saw."""

    replica: str
    client: Endpoint


class ClosedError(ConnectionError):
    """The other side closed the connection without an answer."""


class Conversation:
    """A connection (or a UDP socket) from inside a namespace to an endpoint; it asks as often as it is told to.

    ``source`` is which of the namespace's addresses it comes from; by default, the one that routes there say.

    Raises:
        OSError: as the socket says; `failure_kind` names the ones that networks cause.

    """

    def __init__(
        self,
        namespace: Namespace,
        to: Endpoint,
        *,
        protocol: Protocol = Protocol.TCP,
        timeout: float = 2.0,
        source: IPAddress | None = None,
    ) -> None:
        family = socket.AF_INET if to.address.version == 4 else socket.AF_INET6  # noqa: PLR2004 (the number is the name)
        kind = socket.SOCK_DGRAM if protocol is Protocol.UDP else socket.SOCK_STREAM
        self._socket = namespace.run(socket.socket, family, kind)
        self.protocol = protocol
        self._unread = b""
        self._greeted = protocol is Protocol.UDP
        try:
            self._socket.settimeout(timeout)
            if source is not None:
                self._socket.bind((str(source), 0))
            self._socket.connect((str(to.address), to.port))
        except BaseException:
            self._socket.close()
            raise

    @property
    def local(self) -> Endpoint:
        """This side of the connection."""
        name = self._socket.getsockname()
        return Endpoint(ip_address(name[0]), name[1])

    def ask(self) -> Answer:
        """Ask, and wait for the answer."""
        if self._greeted:
            self._socket.sendall(b"\n")
        self._greeted = True  # a replica's first line over TCP comes unasked
        while b"\n" not in self._unread:
            received = self._socket.recv(_LONGEST_ANSWER)
            if not received:
                raise ClosedError("closed without an answer")
            self._unread += received
        line, _, self._unread = self._unread.partition(b"\n")
        said = json.loads(line)
        address, _, port = str(said["client"]).rpartition(":")
        return Answer(str(said["replica"]), Endpoint(ip_address(address.strip("[]")), int(port)))

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        """Return the conversation."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()


def failure_kind(error: OSError) -> FailureKind | None:
    """Name an error that a network can cause; ``None`` for any other, which is a mistake in the lab."""
    match error:
        case ClosedError():
            return FailureKind.CLOSED
        case ConnectionRefusedError():
            return FailureKind.REFUSED
        case OSError(errno=errno.EPERM):  # what a datagram rejected on its way out of its own host ends with
            return FailureKind.REFUSED
        case ConnectionError():
            return FailureKind.RESET
        case TimeoutError():
            return FailureKind.TIMEOUT
        case OSError(errno=errno.EHOSTUNREACH | errno.ENETUNREACH):
            return FailureKind.UNREACHABLE
        case _:
            return None

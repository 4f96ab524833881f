"""A probe by HTTP: an endpoint that answers ``GET`` with 2xx or 3xx is well. Redirects are not followed.

Of the answer only the head is of interest, all of it: a server that hangs in the middle of its headers is not well.
Whatever the replica sends is looked at as bytes, up to a limit, and never shown to anybody but for its status.
"""

import asyncio
import re
import socket

from netshare.core.model import Endpoint
from netshare.health.connecting import connection

LONGEST_HEAD = 1 << 16
_LONGEST_REST = 1 << 16
_REST_TIME = 0.1
"""Seconds for the body: a connection closed with bytes unread is reset, and servers complain of that in their logs."""
_READ = 1 << 14
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?= |\r?\n)")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_END_AT_MOST = 4
_BEGINNING = b"HTTP/1."
_INTERIM = range(100, 200)
_WELL = range(200, 400)


class UnwellError(Exception):
    """The endpoint answered, and not as one that is well does; the message is for people."""


def request(host: str, path: str) -> bytes:
    """Write the request. Both words are known to be free of control characters (`netshare.core.checks`)."""
    lines = (f"GET {path} HTTP/1.1", f"Host: {host}", "User-Agent: netshare-health", "Accept: */*", "Connection: close")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


async def get(endpoint: Endpoint, host: str, path: str, patience: asyncio.Timeout) -> None:
    """Ask, and judge the answer; ``patience`` is waited for no longer than until the judgement.

    Raises:
        OSError: the network failed.
        UnwellError: the answer is not one of 2xx or 3xx.

    """
    async with connection(endpoint) as asked:
        await asyncio.get_running_loop().sock_sendall(asked, request(host, path))
        status = await read_status(asked)
        if status not in _WELL:
            raise UnwellError(f"HTTP {status}")
        patience.reschedule(None)
        await let_finish(asked)


async def read_status(asked: socket.socket) -> int:
    """Read to the end of the head; of interim answers (100, 103), to the end of the one behind them."""
    head = bytearray()
    total = looked_at = 0
    while True:
        while (end := _END_OF_HEAD.search(head, looked_at)) is None:
            looked_at = max(0, len(head) - _END_AT_MOST)
            received = await asyncio.get_running_loop().sock_recv(asked, _READ)
            if not received:
                raise UnwellError("it closed in the middle of its answer" if head else "it closed without an answer")
            head += received
            total += len(received)
            if not head.startswith(_BEGINNING[: len(head)]):
                raise UnwellError("its answer is not HTTP")
            if total > LONGEST_HEAD:
                raise UnwellError(f"its headers are longer than {LONGEST_HEAD} bytes")
        found = _STATUS_LINE.match(head)
        if found is None:
            raise UnwellError("its answer is not HTTP")
        status = int(found.group(1))
        if status not in _INTERIM:
            return status
        del head[: end.end()]
        looked_at = 0


async def let_finish(asked: socket.socket) -> None:
    """Let the server finish, within limits; what comes of it changes nothing."""
    total = 0
    try:
        async with asyncio.timeout(_REST_TIME):
            while total < _LONGEST_REST and (received := await asyncio.get_running_loop().sock_recv(asked, _READ)):
                total += len(received)
    except (TimeoutError, ConnectionError):
        return

"""A connection to an endpoint, from this host, for as long as one probe takes.

Plain sockets on the event loop, not streams: a probe sends one segment and reads one, hundreds of times a second.
"""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from netshare.core.model import Endpoint, Family

_FAMILY = {Family.IP: socket.AF_INET, Family.IP6: socket.AF_INET6}
_WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.EHOSTUNREACH: "no route to it, or no such neighbour",
    errno.ENETUNREACH: "no route to its network",
    errno.ETIMEDOUT: "no answer",
    # What a packet meets that a rule of this host's own output rejects or drops (nf_hook_slow).
    errno.EPERM: "this host's own firewall does not let the probe out",
    errno.EACCES: "this host's own firewall does not let the probe out",
}


@asynccontextmanager
async def connection(endpoint: Endpoint) -> AsyncIterator[socket.socket]:
    """Connect; the connection is closed when the block ends, however it ends."""
    with socket.socket(_FAMILY[endpoint.family], socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connecting:
        await asyncio.get_running_loop().sock_connect(connecting, (str(endpoint.address), endpoint.port))
        yield connecting


def in_words(error: OSError) -> str:
    """Say what the network made of a probe."""
    code = error.errno or 0
    return _WORDS.get(code) or os.strerror(code)

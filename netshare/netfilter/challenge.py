"""A question to the clients of connections that are gone, who would wait for ever otherwise.

Once a connection's conntrack entry is deleted, the client's next segment is answered with a reset: it goes to another
replica, or to the rule that refuses, and neither knows of it. But a client that only waits sends nothing. So it is sent
a segment it must answer: SYN and ACK, from the listener's address and port. Whatever its sequence number, a TCP that is
connected answers a SYN with an acknowledgement of where it stands, the challenge ACK (RFC 9293, 3.10.7.4, fourth step;
RFC 5961, 4.2; Linux: tcp_validate_incoming); one older than RFC 5961, with that or with a reset.

SYN and ACK rather than ACK alone, because connection tracking begins no flow with it (tcp_new: invalid): on its way out
it leaves no entry behind for the client's answer to belong to. And a stateful firewall before the client passes it as a
part of the connection, where it would drop a segment outside of the window.
"""

import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice

from netshare.core.model import Endpoint, Family
from netshare.errors import NotPermittedError

MOST = 1000
"""Segments at once. The clients of further connections learn of their end when they next send something."""

_SYN_ACK = 0x12
_TCP = struct.Struct("!HHIIBBHHH")
_HEADER_WORDS = _TCP.size // 4 << 4
_TTL = 64
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_DOMAIN = {Family.IP: socket.AF_INET, Family.IP6: socket.AF_INET6}


def challenge(connections: Iterable[tuple[Endpoint, Endpoint]]) -> None:
    """Make clients find out that their connection is gone; each comes with the listener it was made to.

    One segment each, and no further attempt: it may be lost, and a client that is gone can't be reached.

    Raises:
        NotPermittedError: needs CAP_NET_RAW.

    """
    by_listener: dict[Endpoint, list[Endpoint]] = {}
    for client, listener in islice(connections, MOST):
        by_listener.setdefault(listener, []).append(client)
    for listener, clients in by_listener.items():
        _send(listener, clients)


def _send(listener: Endpoint, clients: Iterable[Endpoint]) -> None:
    try:
        # IPPROTO_RAW: with headers of our own, and nothing of what comes in is copied to it.
        raw = socket.socket(_DOMAIN[listener.family], socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)
    except PermissionError as error:
        what = f"could not tell the clients of {listener} that their connections are gone: {error.strerror}"
        raise NotPermittedError(what, hint="it needs CAP_NET_RAW beside CAP_NET_ADMIN") from error
    with raw, suppress(OSError):  # its address may not be the host's any more
        raw.bind((str(listener.address), 0))  # routes may depend on the source
        for client in clients:
            with suppress(OSError):  # no route, no room, or a firewall's rule
                raw.sendto(segment(listener, client), socket.MSG_DONTWAIT, (str(client.address), 0))


def segment(source: Endpoint, destination: Endpoint) -> bytes:
    """Write a SYN and ACK down, from its IP header on; of IPv4, the kernel fills in length and checksum (raw(7))."""
    sender, receiver = source.address.packed, destination.address.packed
    if source.family is Family.IP:
        header = _IPV4.pack(0x45, 0, 0, 0, 0, _TTL, socket.IPPROTO_TCP, 0, sender, receiver)
    else:
        header = _IPV6.pack(6 << 28, _TCP.size, socket.IPPROTO_TCP, _TTL, sender, receiver)
    pseudo = sender + receiver + struct.pack("!II", _TCP.size, socket.IPPROTO_TCP)
    fields = (source.port, destination.port, 0, 0, _HEADER_WORDS, _SYN_ACK, 0)
    return header + _TCP.pack(*fields, _checksum(pseudo + _TCP.pack(*fields, 0, 0)), 0)


def _checksum(data: bytes) -> int:
    """The ones' complement of the ones' complement sum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

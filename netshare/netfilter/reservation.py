"""The ports of listeners, held by sockets for as long as the agent runs, so that nobody else starts to listen there.

DNAT takes a connection before any socket sees it. A server (or ``docker run -p``) that came later would start without
a complaint and never be given a client; with the port held it is told "address already in use", as by any other server.
The sockets are bound and nothing else: a TCP one that does not listen takes no connection, and a UDP one drops
whatever should reach it.
"""

import ctypes
import errno
import logging
import os
import resource
import socket
import struct
from collections.abc import Mapping, Set
from contextlib import suppress
from typing import Protocol as Interface

from netshare.core.event import Stage, event
from netshare.core.model import Family, Listener, Protocol
from netshare.core.ruleset import Match
from netshare.errors import NetshareError
from netshare.netfilter.sockets import RESERVED_MARK

_log = logging.getLogger(__name__)

_FAMILY = {Family.IP: socket.AF_INET, Family.IP6: socket.AF_INET6}
_KIND = {
    Protocol.TCP: (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    Protocol.UDP: (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    Protocol.SCTP: (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}

# What socket(2) says where the kernel has no IPv6, or no SCTP: then nobody else can have such a socket either.
_NO_SUCH_SOCKETS = frozenset({errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT})

# <linux/in.h>, <linux/in6.h>, <asm-generic/socket.h>, <linux/bpf_common.h>: Python has no names for them.
_FREEBIND = {Family.IP: (socket.IPPROTO_IP, 15), Family.IP6: (socket.IPPROTO_IPV6, 78)}
_SO_ATTACH_FILTER = 26
_KEEP_NOTHING = struct.pack("=HBBI", 0x06, 0, 0, 0)  # one struct sock_filter: BPF_RET | BPF_K, of 0 bytes

_SPARE_DESCRIPTORS = 256
"""How many descriptors are left to everything else that the agent does."""


class Holders(Interface):
    """The listening sockets of this network namespace."""

    def holders(self, listener: Listener) -> list[str]:
        """Name who listens where the listener would, as in ``nginx (pid 4242)``."""


class PortReservation:
    """The ports held, in the network namespace of the thread that reserves them."""

    def __init__(self, sockets: Holders, *, most: int | None = None) -> None:
        """``most`` is how many sockets it may have; by default, what the process's limit allows."""
        self._sockets = sockets
        self._most = most
        self._matches: Set[Match] = frozenset()
        self._held: dict[Match, socket.socket] = {}
        self._refused: Mapping[Match, int] = {}
        self._left_out = 0

    def reserve(self, matches: Set[Match]) -> None:
        """Hold the ports of these, and of nothing else; what someone else has is tried again the next time."""
        if matches == self._matches and not self._refused and not self._left_out:
            return
        self._matches = frozenset(matches)
        wanted = claims(self._matches)
        for match in self._held.keys() - wanted:
            self._held.pop(match).close()
        lacking = sorted(wanted - self._held.keys(), key=str)
        room = max(0, (_descriptors() if self._most is None else self._most) - len(self._held))
        refused: dict[Match, int] = {}
        for match in lacking[:room]:
            try:
                self._held[match] = _bound(match)
            except OSError as error:
                if error.errno not in _NO_SUCH_SOCKETS:
                    refused[match] = error.errno or 0
        self._report(refused, left_out=len(lacking[room:]))

    def close(self) -> None:
        """Let go of all of them."""
        for held in self._held.values():
            held.close()
        self._held.clear()
        self._matches = frozenset()

    def _report(self, refused: Mapping[Match, int], left_out: int) -> None:
        """Log what is new; a refusal that lasts is told once."""
        told = {_listener(match): number for match, number in refused.items() if self._refused.get(match) != number}
        for listener, number in told.items():
            if number == errno.EADDRINUSE:
                _log.warning(event(Stage.RESERVE, listener=str(listener), held_by=self._holder(listener)))
            else:
                _log.warning(event(Stage.RESERVE, listener=str(listener), reason=os.strerror(number)))
        freed = {_listener(match) for match in self._refused.keys() & self._held.keys()}
        for listener in sorted(freed - set(map(_listener, refused)), key=str):
            _log.info(event(Stage.RESERVE, listener=str(listener), held_by="netshare"))
        if left_out and not self._left_out:
            reason = "too few file descriptors: raise LimitNOFILE"
            _log.warning(event(Stage.RESERVE, left_out=left_out, reason=reason))
        self._refused, self._left_out = refused, left_out

    def _holder(self, listener: Listener) -> str:
        with suppress(NetshareError):
            if holders := self._sockets.holders(listener):
                return ", ".join(holders)
        # An outgoing connection has its own port to itself as well, and may have been given this one.
        return "a connection of this host"


def claims(matches: Set[Match]) -> Set[Match]:
    """Pick what is to be bound: on a port that is held on every address, nothing else can be, and need not be."""
    everywhere = {(m.family, m.protocol, m.port) for m in matches if m.address is None}
    return {m for m in matches if m.address is None or (m.family, m.protocol, m.port) not in everywhere}


def _listener(match: Match) -> Listener:
    return Listener(match.port, match.protocol, match.address)


def _descriptors() -> int:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit - _SPARE_DESCRIPTORS


def _bound(match: Match) -> socket.socket:
    kind, protocol = _KIND[match.protocol]
    made = socket.socket(_FAMILY[match.family], kind | socket.SOCK_CLOEXEC, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, RESERVED_MARK)
        # An address that the host has not got yet is held all the same.
        made.setsockopt(*_FREEBIND[match.family], 1)
        if match.family is Family.IP6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if match.protocol is Protocol.UDP:
            _keep_nothing(made)
        # With it, the connections of a server that has ended (TIME_WAIT, for a minute) do not stand in the way, as a
        # listening one still does. Without it from then on: a socket that has it would let others in beside it.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(match.protocol is Protocol.TCP))
        made.bind(("" if match.address is None else str(match.address), match.port))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except BaseException:
        made.close()
        raise
    return made


def _keep_nothing(made: socket.socket) -> None:
    """Let no datagram wait in a socket that nobody reads: those that netfilter does not take are dropped."""
    program = ctypes.create_string_buffer(_KEEP_NOTHING, len(_KEEP_NOTHING))
    # struct sock_fprog: how many instructions, and where
    made.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(program)))

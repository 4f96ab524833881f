"""Commits to nf_tables as they happen, by whomever: the kernel tells of each, when it is done.

Changes of legacy iptables tables are not told of by anyone.

Sources: net/netfilter/nf_tables_api.c (nf_tables_gen_notify), include/uapi/linux/netfilter/nfnetlink.h.
"""

import contextlib
import ctypes
import errno
import os
import select
import socket
import struct
import sys
from collections.abc import Callable, Container

from netshare.errors import NetfilterError
from netshare.netfilter.netlink import NETLINK_NETFILTER, SUBSYSTEM_NFTABLES, refusal
from netshare.netfilter.nftables.wire import string, table_of

_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_GROUP = 7  # NFNLGRP_NFTABLES
_NEW_GENERATION = SUBSYSTEM_NFTABLES << 8 | 15  # NFT_MSG_NEWGEN
_PROCESS_NAME = 3  # NFTA_GEN_PROC_NAME
_HEADER = struct.Struct("=IHHII")
_PREAMBLE = _HEADER.size + 4
_RECEIVE = 1 << 16
_SO_ATTACH_FILTER = 26
_UNKNOWN = "unknown"


class CommitWatch:
    """Hears of commits in the network namespace of the thread that makes it, from then on.

    ``own`` gives the numbers of the sockets whose commits are none of interest.
    """

    def __init__(self, own: Callable[[], Container[int | None]]) -> None:
        """Subscribe.

        Raises:
            NotPermittedError: needs CAP_NET_ADMIN.
            NetfilterError: this kernel does not tell of commits.

        """
        self._own = own
        self._ended = os.eventfd(0, os.EFD_CLOEXEC)
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        try:
            _only_generations(self._socket)
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP)
        except OSError as error:
            self._socket.close()
            raise refusal(error.errno or 0, "can't listen to changes of nf_tables") from error

    def next(self, timeout: float | None = None) -> str | None:
        """Wait for a commit by someone else and name the program; ``None`` when the time is over, or after `close`."""
        while True:
            ready, _, _ = select.select([self._socket.fileno(), self._ended], [], [], timeout)
            if not ready or self._ended in ready:
                return None
            author = self._read()
            if author is not None:
                return author

    def close(self) -> None:
        """End every `next`, now and later."""
        os.eventfd_write(self._ended, 1)

    def __del__(self) -> None:
        """Free what the kernel keeps for it."""
        if hasattr(self, "_socket"):
            self._socket.close()
        if hasattr(self, "_ended"):
            os.close(self._ended)

    def _read(self) -> str | None:
        try:
            message = self._socket.recv(_RECEIVE)
        except OSError as error:
            if error.errno == errno.ENOBUFS:  # some were lost
                return _UNKNOWN
            raise NetfilterError(f"can't listen to changes of nf_tables: {error.strerror}") from error
        if len(message) < _PREAMBLE:
            return None
        _, kind, _, _, port = _HEADER.unpack_from(message)
        if kind != _NEW_GENERATION or port in self._own():
            return None
        return string(table_of(message[_PREAMBLE:]).get(_PROCESS_NAME)) or _UNKNOWN


def _only_generations(listener: socket.socket) -> None:
    """Have the kernel keep back what else it tells of a commit: a message for every rule and element in it.

    A classic BPF program that looks at the message's type; it loads in network byte order, what netlink never writes.
    """
    kind = int.from_bytes(_NEW_GENERATION.to_bytes(2, sys.byteorder), "big")
    load, jump_if_equal, give = 0x28, 0x15, 0x06  # BPF_LD|BPF_H|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
    steps = ((load, 0, 0, 4), (jump_if_equal, 0, 1, kind), (give, 0, 0, 0xFFFFFFFF), (give, 0, 0, 0))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    with contextlib.suppress(OSError):  # a nicety
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

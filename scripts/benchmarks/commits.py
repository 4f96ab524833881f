"""When the kernel took commits to nf_tables in a namespace, as it tells whoever listens."""

import socket
import struct
import threading
import time
from collections.abc import Callable

from netshare.lab.namespace import Namespace
from scripts.benchmarks.processes import BenchmarkError

_NETLINK_NETFILTER, _GROUP_NFTABLES = 12, 7
_NEW_GENERATION = 10 << 8 | 15  # NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWGEN: the last message of every commit
_PROCESS_NAME = 3  # NFTA_GEN_PROC_NAME
_HEADERS = 20  # struct nlmsghdr, struct nfgenmsg
_PATIENCE = 20.0
Record = list[tuple[int, str]]
"""Moments, in nanoseconds since 1970, and what happened then."""


class Commits:
    """Listens from when it is made until the process ends; ``record`` has each commit and whose it was."""

    def __init__(self, namespace: Namespace) -> None:
        self.record: Record = []
        self._socket = namespace.run(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.bind((0, 1 << _GROUP_NFTABLES - 1))
        threading.Thread(target=self._listen, daemon=True).start()

    def first(self, since: int, *, program: str | None = None) -> int:
        """Wait for the first commit from some moment on, by that program if one is named."""
        return first(self.record, lambda name: program in (None, name), since)

    def _listen(self) -> None:
        while True:
            data, now = self._socket.recv(1 << 16), time.time_ns()
            offset = 0
            while offset + _HEADERS <= len(data):
                length, kind = struct.unpack_from("=IH", data, offset)
                if kind == _NEW_GENERATION:
                    self.record.append((now, _program(data[offset + _HEADERS : offset + length])))
                offset += max(_HEADERS, length + -length % 4)


def first(record: Record, wanted: Callable[[str], bool], since: int) -> int:
    """Wait for the first entry of a record from some moment on."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        found = next((at for at, what in list(record) if at >= since and wanted(what)), None)
        if found is not None:
            return found
        time.sleep(0.001)
    raise BenchmarkError(f"nothing came in {_PATIENCE:g} s")


def _program(attributes: bytes) -> str:
    offset = 0
    while offset + 4 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, offset)
        if kind == _PROCESS_NAME:
            return attributes[offset + 4 : offset + length].rstrip(b"\0").decode()
        offset += max(4, length + -length % 4)
    return ""

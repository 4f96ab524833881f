"""Who listens on a port already: the kernel's socket diagnostics, and /proc for the names.

One question per protocol and family, for one port, so that the kernel sends a handful of sockets and not every
connection of the host, as /proc/net/tcp would. Asked with a plain socket: pyroute2's DiagSocket drops error answers,
and "nobody listens" must never be what an error looks like.

Sources: include/uapi/linux/inet_diag.h, include/uapi/linux/sock_diag.h, net/ipv4/inet_diag.c.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from netshare.core.model import Family, IPAddress, Listener, Protocol
from netshare.errors import NetfilterError, NotPermittedError

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP

_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBxI2s46x")  # struct inet_diag_req_v2, up to the source port and no further
_ANSWER = struct.Struct("=BBxx2s2x16s16x4x8x16xI")  # struct inet_diag_msg
_ATTRIBUTE = struct.Struct("=HH")
_ONLY_IPV6 = 11  # INET_DIAG_SKV6ONLY, sent for listening and unconnected sockets
_MARK = 15  # INET_DIAG_MARK, sent to those who may program the network
_RECEIVE = 1 << 16
_NAMES_KEPT = 1024

RESERVED_MARK = 0x6E657473
"""The mark (SO_MARK) of the sockets by which the agent holds ports (`netshare.netfilter.reservation`): "nets".

It is the kernel that knows them by it, not a process's number or name, which another PID namespace sees otherwise.
"""

_FAMILY = {Family.IP: int(socket.AF_INET), Family.IP6: int(socket.AF_INET6)}
_CLOSE, _LISTEN = 7, 10  # enum of include/net/tcp_states.h
_ASKED = {
    # A UDP socket that is bound and not connected, which takes datagrams from anyone, is in state CLOSE.
    Protocol.TCP: (int(socket.IPPROTO_TCP), _LISTEN),
    Protocol.UDP: (int(socket.IPPROTO_UDP), _CLOSE),
    Protocol.SCTP: (int(socket.IPPROTO_SCTP), _LISTEN),
}


@dataclass(frozen=True, slots=True)
class ListeningSocket:
    """A socket that takes new connections; ``takes_ipv4`` is about an IPv6 one.

    ``is_reservation`` tells netshare's own, which takes none.
    """

    address: IPAddress
    inode: int
    takes_ipv4: bool = False
    is_reservation: bool = False

    def stands_in_the_way_of(self, listener: Listener) -> bool:
        """Whether some connection would be taken from it by the listener. Both have the same port."""
        if self.is_reservation:
            return False
        if listener.address is None or listener.protocol is Protocol.SCTP:
            return True  # an SCTP socket may have further addresses
        wanted = Family.of(listener.address)
        if self.address.is_unspecified:
            return Family.of(self.address) is wanted or (wanted is Family.IP and self.takes_ipv4)
        own = self.address
        mapped = own.ipv4_mapped if isinstance(own, IPv6Address) else None
        return (mapped or own) == listener.address


class ListeningSockets:
    """The listening sockets of the calling thread's network namespace."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        """``proc`` is where processes are looked for."""
        self._proc = proc
        self._names: dict[int, str] = {}

    def holders(self, listener: Listener) -> list[str]:
        """Name who listens where the listener would: ``nginx (pid 4242)``.

        Raises:
            NotPermittedError: this process may not ask.
            NetfilterError: this kernel can't tell.

        """
        inodes = {found.inode for found in listening(listener) if found.stands_in_the_way_of(listener)}
        # The agent asks again and again while someone is in the way, and a walk through /proc takes 20 ms.
        if unnamed := inodes - self._names.keys():
            processes = processes_with(unnamed, self._proc)
            if len(self._names) > _NAMES_KEPT:
                self._names = {inode: name for inode, name in self._names.items() if inode in inodes}
            self._names |= {inode: processes.get(inode, f"a process (socket inode {inode})") for inode in unnamed}
        return sorted({self._names[inode] for inode in inodes})


def listening(listener: Listener) -> list[ListeningSocket]:
    """Ask the kernel for the sockets on a listener's port, of both families, whatever their address."""
    number, state = _ASKED[listener.protocol]
    found: list[ListeningSocket] = []
    for family in _FAMILY.values():
        question = _QUESTION.pack(family, number, 0, 1 << state, listener.port.to_bytes(2, "big"))
        found += (parsed for answer in _ask(question, listener.protocol) if (parsed := parse(answer)) is not None)
    return found


def _ask(question: bytes, protocol: Protocol) -> list[bytes]:
    try:
        return list(_answers(question, protocol))
    except OSError as error:
        what = f"could not ask the kernel who listens on {protocol} ports: {error.strerror}"
        raise NetfilterError(what, hint="try again, or add --force if you know that nobody does") from error


def _answers(question: bytes, protocol: Protocol) -> Iterator[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as asking:
        asking.bind((0, 0))
        asking.send(_HEADER.pack(_HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + question)
        while True:
            data = asking.recv(_RECEIVE)
            offset = 0
            while offset + _HEADER.size <= len(data):
                length, kind, *_ = _HEADER.unpack_from(data, offset)
                payload = data[offset + _HEADER.size : offset + length]
                if kind in (_NLMSG_ERROR, _NLMSG_DONE):
                    _check(payload, protocol)
                    return
                yield payload
                offset += max(length + (-length % 4), _HEADER.size)


def _check(payload: bytes, protocol: Protocol) -> None:
    """Raise what the end of a dump says; a kernel with no SCTP has nobody listening on it."""
    code = -int(struct.unpack_from("=i", payload)[0]) if len(payload) >= 4 else 0  # noqa: PLR2004
    if code == 0 or (code == errno.ENOENT and protocol is Protocol.SCTP):
        return
    what = f"could not ask the kernel who listens on {protocol} ports: {os.strerror(code)}"
    if code in (errno.EPERM, errno.EACCES):
        raise NotPermittedError(what, hint="run it as root (sudo), or with --force if you know that nobody does")
    hint = f"try: modprobe {protocol}_diag; or add --force if you know that nobody does"
    raise NetfilterError(what, hint=hint)


def parse(answer: bytes) -> ListeningSocket | None:
    """Read one socket out of an answer; ``None`` where it is cut short."""
    if len(answer) < _ANSWER.size:
        return None
    family, _, _, source, inode = _ANSWER.unpack_from(answer)
    attributes = dict(_attributes(answer))
    is_reservation = attributes.get(_MARK) == RESERVED_MARK.to_bytes(4, sys.byteorder)
    if family == socket.AF_INET:
        return ListeningSocket(IPv4Address(source[:4]), inode, is_reservation=is_reservation)
    takes_ipv4 = not any(attributes.get(_ONLY_IPV6, b""))
    return ListeningSocket(IPv6Address(source), inode, takes_ipv4, is_reservation)


def _attributes(answer: bytes) -> Iterator[tuple[int, bytes]]:
    offset = _ANSWER.size
    while offset + _ATTRIBUTE.size <= len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, offset)
        if length < _ATTRIBUTE.size:
            return
        yield kind, answer[offset + _ATTRIBUTE.size : offset + length]
        offset += length + (-length % 4)


def processes_with(inodes: Set[int], proc: Path) -> Mapping[int, str]:
    """Find the process that has each socket: of several, the first by its number, which is the parent of the others.

    Of processes that may not be looked into, and of those that end meanwhile, nothing is known.
    """
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[int, str] = {}
    for pid in sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdecimal()):
        for link in _descriptors(proc / str(pid) / "fd"):
            inode = wanted.get(link)
            if inode is not None and inode not in found:
                found[inode] = f"{_command(proc / str(pid))} (pid {pid})"
        if len(found) == len(wanted):
            break
    return found


def _descriptors(directory: Path) -> Iterator[str]:
    """Read what each descriptor of a process is; one that is closed meanwhile is nothing."""
    with suppress(OSError):
        for name in os.listdir(directory):  # noqa: PTH208 (Path objects take several times as long)
            with suppress(OSError):
                yield os.readlink(f"{directory}/{name}")  # noqa: PTH115 (likewise)


def _command(process: Path) -> str:
    """Read a process's name, which it chose itself: nothing but printable characters of it is shown."""
    try:
        name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a process"
    return "".join(character if character.isprintable() else "?" for character in name) or "a process"

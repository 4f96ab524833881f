"""One socket to the kernel's nfnetlink: dumps, questions, requests, and batches that commit or fail as a whole.

The standard library has the socket; what is added here is message headers, whole answers and errors. pyroute2 has
those too, behind an event loop and an import of a quarter of a second, which is more than a whole ``netshare status``
may take.

Sources: include/uapi/linux/netlink.h, include/uapi/linux/netfilter/nfnetlink.h, net/netfilter/nfnetlink.c.
"""

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from netshare.errors import NetfilterError, NotPermittedError

NETLINK_NETFILTER = 12
_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK = 270, 10, 11, 12
_SO_SNDBUFFORCE = 32

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
F_REQUEST, F_ACK, F_DUMP, F_CREATE, F_EXCL, F_APPEND = 0x1, 0x4, 0x300, 0x400, 0x200, 0x800
_F_DUMP_INTR, _F_CAPPED, _F_ACK_TLVS = 0x10, 0x100, 0x200
_ATTR_MSG = 1  # NLMSGERR_ATTR_MSG

_HEADER = struct.Struct("=IHHII")
_NFGEN = struct.Struct("=BBH")
_PREAMBLE = _HEADER.size + _NFGEN.size
_RECEIVE = 1 << 18
_INTERRUPTED_DUMPS = 10
_SILENCE = 30
SUBSYSTEM_CONNTRACK, SUBSYSTEM_NFTABLES = 1, 10

_AT_ONCE = 128
"""Requests in one message to the kernel: their answers, all errors at worst, must find room in the receive buffer."""

T = TypeVar("T")

NEEDS_ROOT = "run it as root (sudo), or with CAP_NET_ADMIN in this network namespace"


class _InterruptedError(Exception):
    """The table changed while it was being dumped."""


@dataclass(frozen=True, slots=True)
class Message:
    """One request of a batch; ``about`` names its object in an error."""

    kind: int
    flags: int
    family: int
    attributes: bytes
    about: str


class Netlink:
    """A connection to one subsystem of nfnetlink, in the network namespace of the thread that opens it."""

    def __init__(self, subsystem: int) -> None:
        """Open the socket.

        Raises:
            NetfilterError: this kernel has no nfnetlink.

        """
        self._subsystem = subsystem
        self._sequence = 0
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        except OSError as error:
            hint = "netshare needs a kernel with CONFIG_NETFILTER_NETLINK; try: modprobe nfnetlink"
            raise NetfilterError(f"this kernel has no nfnetlink: {error.strerror}", hint=hint) from error
        self._socket.bind((0, 0))
        # The kernel answers within the call; an answer that was lost whole must not be waited for without end.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _SILENCE, 0))
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK):
            with contextlib.suppress(OSError):  # older kernels lack some; all are niceties
                self._socket.setsockopt(_SOL_NETLINK, option, 1)

    def __enter__(self) -> Self:
        """Use it in a ``with`` statement."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the socket."""
        self.close()

    def __del__(self) -> None:
        """Close the socket with its last user: a driver keeps one open for as long as the process lives."""
        if hasattr(self, "_socket"):
            self._socket.close()

    @property
    def port(self) -> int:
        """The number the kernel knows the socket by, in its network namespace."""
        return int(self._socket.getsockname()[0])

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def dump(self, kind: int, family: int, attributes: bytes = b"", *, about: str) -> list[memoryview]:
        """Ask for every object of a kind; the attributes of each, with no header."""
        return self.pick(kind, family, attributes, lambda message: message, about=about)

    def pick(
        self, kind: int, family: int, attributes: bytes, choose: Callable[[memoryview], T | None], *, about: str
    ) -> list[T]:
        """Ask for every object of a kind, and keep what ``choose`` makes of each, unless that is ``None``.

        A dump that the kernel reports as interrupted by a change (NLM_F_DUMP_INTR) is asked for again. An object
        that does not exist (ENOENT) has nothing to dump.
        """

        def ask() -> list[T]:
            answers = self._exchange(kind, F_REQUEST | F_DUMP, family, attributes, about)
            return [chosen for answer in answers if (chosen := choose(answer)) is not None]

        return _insist(ask, about)

    def get(self, kind: int, family: int, attributes: bytes = b"", *, about: str) -> memoryview | None:
        """Ask for one object; ``None`` where it does not exist."""
        answers = _insist(lambda: list(self._exchange(kind, F_REQUEST | F_ACK, family, attributes, about)), about)
        return answers[0] if answers else None

    def _exchange(self, kind: int, flags: int, family: int, attributes: bytes, about: str) -> Iterator[memoryview]:
        self._sequence += 1
        body = _NFGEN.pack(family, 0, 0) + attributes
        header = _HEADER.pack(
            _HEADER.size + len(body),
            self._subsystem << 8 | kind,
            flags,
            self._sequence,
            0,
        )
        try:
            self._socket.send(header + body)
        except OSError as error:
            raise NetfilterError(f"could not ask for {about}: {error.strerror}") from error
        interrupted = False
        while True:
            for answer_kind, answer_flags, sequence, payload in messages(self._receive(about)):
                if sequence != self._sequence:
                    continue
                interrupted = interrupted or bool(answer_flags & _F_DUMP_INTR)
                if answer_kind in (_NLMSG_ERROR, _NLMSG_DONE):
                    code = -struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else 0  # noqa: PLR2004
                    if code not in (0, errno.ENOENT):
                        raise refusal(code, f"could not read {about}", explanation(payload, answer_flags))
                    if interrupted:
                        raise _InterruptedError
                    return
                yield payload[_NFGEN.size :]

    def _receive(self, about: str) -> bytes:
        try:
            return self._socket.recv(_RECEIVE)
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise _InterruptedError from error  # the answer was cut short: ask again
            raise NetfilterError(f"could not read {about}: {_why(error)}") from error

    def commit(self, messages: Iterable[Message]) -> None:
        """Send a batch that the kernel applies as a whole or not at all.

        Only the last message asks for an acknowledgement; whatever fails answers unasked. The kernel works the batch
        off within ``send``, so its answers are there when that returns.

        Raises:
            NotPermittedError: EPERM.
            NetfilterError: any other refusal, with the first object that was refused.

        """
        batch = list(messages)
        if not batch:
            return
        begin = self._delimiter(_BATCH_BEGIN)
        first, packed = self._pack(batch)
        self._send(begin + packed + self._delimiter(_BATCH_END))
        self._confirm(batch, first)

    def check(self, messages: Iterable[Message]) -> None:
        """Have a batch tried and not committed: without its end, the kernel validates it and aborts (nfnetlink.c).

        Raises:
            NotPermittedError, NetfilterError: what `commit` would raise.

        """
        batch = list(messages)
        first, packed = self._pack(batch)
        self._send(self._delimiter(_BATCH_BEGIN) + packed)
        self._confirm(batch, first)

    def perform(self, messages: Iterable[Message]) -> None:
        """Send requests that stand for themselves, many in one message; what is gone already (ENOENT) is no error.

        For subsystems without transactions: what comes before a refusal, and some of what comes after, is done.

        Raises:
            NotPermittedError: EPERM.
            NetfilterError: any other refusal, with the first object that was refused.

        """
        everything = list(messages)
        for start in range(0, len(everything), _AT_ONCE):
            some = everything[start : start + _AT_ONCE]
            first, packed = self._pack(some)
            self._send(packed)
            self._confirm(some, first, ignored={errno.ENOENT})

    def _pack(self, batch: list[Message]) -> tuple[int, bytes]:
        """Pack messages, the last with a wish for an answer; also gives the first one's sequence number."""
        first = self._sequence + 1
        parts: list[bytes] = []
        for index, message in enumerate(batch):
            flags = message.flags | F_REQUEST | (F_ACK if index == len(batch) - 1 else 0)
            self._sequence += 1
            length = _PREAMBLE + len(message.attributes)
            kind = self._subsystem << 8 | message.kind
            parts += (
                _HEADER.pack(length, kind, flags, self._sequence, 0),
                _NFGEN.pack(message.family, 0, 0),
                message.attributes,
            )
        return first, b"".join(parts)

    def _delimiter(self, kind: int) -> bytes:
        body = _NFGEN.pack(0, 0, socket.htons(self._subsystem))
        return _HEADER.pack(_HEADER.size + len(body), kind, F_REQUEST, self._sequence + 1, 0) + body

    def _send(self, data: bytes) -> None:
        """Send in one go: the kernel takes a batch from a single message only."""
        for option in (_SO_SNDBUFFORCE, socket.SO_SNDBUF):  # force needs CAP_NET_ADMIN of the first user namespace
            if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) > 2 * len(data):
                break
            with contextlib.suppress(PermissionError):
                self._socket.setsockopt(socket.SOL_SOCKET, option, 2 * len(data))
        try:
            self._socket.send(data)
        except OSError as error:
            hint = "raise net.core.wmem_max" if error.errno == errno.EMSGSIZE else None
            what = f"the kernel took no batch of {len(data)} bytes"
            raise NetfilterError(f"{what}: {error.strerror}", hint=hint) from error

    def _confirm(self, batch: list[Message], first: int, ignored: Set[int] = frozenset()) -> None:
        """Read answers until the last message is acknowledged or refused; the first refusal is the one that tells."""
        last = first + len(batch) - 1
        refused: NetfilterError | NotPermittedError | None = None
        while True:
            for kind, flags, sequence, payload in messages(self._receive_answer()):
                if kind != _NLMSG_ERROR or len(payload) < 4:  # noqa: PLR2004
                    continue
                if sequence < first:  # of an earlier batch, whose answers were lost
                    continue
                code = -struct.unpack_from("=i", payload)[0]
                if code and code not in ignored and refused is None:
                    about = batch[sequence - first].about if sequence <= last else "the batch"
                    refused = refusal(code, f"the kernel refused {about}", explanation(payload, flags))
                if sequence == last or (refused is not None and not self._is_pending()):
                    if refused is not None:
                        self._drain()
                        raise refused
                    return

    def _receive_answer(self) -> bytes:
        try:
            return self._socket.recv(_RECEIVE)
        except OSError as error:
            raise NetfilterError(f"the kernel's answer to a batch was lost: {_why(error)}") from error

    def _is_pending(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            return bool(self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        return False

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(_RECEIVE, socket.MSG_DONTWAIT):
                pass


def _insist(ask: Callable[[], T], about: str) -> T:
    """Ask again while what is asked for changes under way, or its answer is lost for want of room."""
    for _ in range(_INTERRUPTED_DUMPS):
        try:
            return ask()
        except _InterruptedError:
            continue
    raise NetfilterError(f"could not read {about}: it changed {_INTERRUPTED_DUMPS} times while being read")


def _why(error: OSError) -> str:
    return f"no answer within {_SILENCE} s" if isinstance(error, BlockingIOError) else str(error.strerror)


def messages(data: bytes) -> Iterator[tuple[int, int, int, memoryview]]:
    """Take the messages of one datagram apart: type, flags, sequence number, payload."""
    view = memoryview(data)
    offset = 0
    while offset + _HEADER.size <= len(view):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(view, offset)
        if length < _HEADER.size or offset + length > len(view):
            return
        yield kind, flags, sequence, view[offset + _HEADER.size : offset + length]
        offset += length + (-length % 4)


def explanation(payload: memoryview, flags: int) -> str:
    """Read the kernel's own words about an error (NLMSGERR_ATTR_MSG), where it has some."""
    if not flags & _F_ACK_TLVS:
        return ""
    offset = 4 + _HEADER.size
    if not flags & _F_CAPPED and len(payload) >= offset:
        offset = 4 + int(_HEADER.unpack_from(payload, 4)[0])
    offset += -offset % 4
    while offset + 4 <= len(payload):
        length, kind = struct.unpack_from("=HH", payload, offset)
        if length < 4 or offset + length > len(payload):  # noqa: PLR2004
            break
        if kind & 0x3FFF == _ATTR_MSG:
            return bytes(payload[offset + 4 : offset + length]).split(b"\0", 1)[0].decode(errors="replace")
        offset += length + (-length % 4)
    return ""


def refusal(code: int, what: str, explanation: str = "") -> NetfilterError | NotPermittedError:
    """Put a kernel error into words; EPERM is the user's to mend."""
    if code == errno.EPERM:
        return NotPermittedError(f"{what}: operation not permitted", hint=NEEDS_ROOT)
    why = f"{os.strerror(code)} ({errno.errorcode.get(code, code)})"
    if explanation:
        why += f", {explanation}"
    hint = "this kernel has no nf_tables; try: modprobe nf_tables" if code == errno.EOPNOTSUPP else None
    error = NetfilterError(f"{what}: {why}", hint=hint)
    error.__cause__ = OSError(code, os.strerror(code))
    return error

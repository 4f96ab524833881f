"""Netlink attributes as bytes: packing and walking them, and nothing of what they mean.

An attribute is a 16-bit length, a 16-bit type and a payload padded to four bytes, in the host's byte order
(include/uapi/linux/netlink.h). nf_tables wants the integers inside in network byte order.

Elements are packed by the ten thousand, so there is no object per attribute: one ``struct.pack`` each.
"""

import struct
from collections.abc import Iterator

_HEADER = struct.Struct("=HH")
_NESTED = 0x8000
_TYPE_MASK = 0x3FFF
MAX_ATTRIBUTE = 0xFFFF - _HEADER.size
"""The longest payload an attribute's 16-bit length can state."""


def pad(payload: bytes) -> bytes:
    """Fill up to a multiple of four bytes."""
    return payload + bytes(-len(payload) % 4)


def attribute(kind: int, payload: bytes) -> bytes:
    """Pack one attribute."""
    return pad(_HEADER.pack(_HEADER.size + len(payload), kind) + payload)


def nested(kind: int, *attributes: bytes) -> bytes:
    """Pack an attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(attributes))


def u32(kind: int, value: int) -> bytes:
    """Pack a 32-bit number in network byte order."""
    return attribute(kind, value.to_bytes(4, "big"))


def u64(kind: int, value: int) -> bytes:
    """Pack a 64-bit number in network byte order."""
    return attribute(kind, value.to_bytes(8, "big"))


def text(kind: int, value: str) -> bytes:
    """Pack a NUL-terminated string."""
    return attribute(kind, value.encode() + b"\0")


def walk(buffer: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    """Take attributes apart one after the other; one that overruns the buffer ends the walk.

    The kernel is trusted, but a truncated answer must not become an endless loop or an exception far away.
    """
    view = memoryview(buffer)
    offset = 0
    while offset + _HEADER.size <= len(view):
        length, kind = _HEADER.unpack_from(view, offset)
        if length < _HEADER.size or offset + length > len(view):
            return
        yield kind & _TYPE_MASK, view[offset + _HEADER.size : offset + length]
        offset += length + (-length % 4)


def table_of(buffer: bytes | memoryview) -> dict[int, memoryview]:
    """Index attributes by type; of several alike the last counts."""
    return dict(walk(buffer))


def number(payload: memoryview | None, default: int = 0) -> int:
    """Read a number in network byte order."""
    return default if payload is None else int.from_bytes(payload, "big")


def string(payload: memoryview | None) -> str:
    """Read a NUL-terminated string."""
    return "" if payload is None else bytes(payload).split(b"\0", 1)[0].decode(errors="replace")

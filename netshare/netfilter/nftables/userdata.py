"""What nft itself keeps beside kernel objects: comments, and the types it prints and parses a set's elements by.

The kernel stores these bytes and never looks at them. Without them ``nft list`` prints slot 1 as 16777216 and a saved
ruleset does not load again. The layout is libnftnl's (include/libnftnl/udata.h) and nft's own (src/expression.c); the
values written here are those nft 1.0.6 writes, which later versions read as well, while 1.0.6 crashes on some of
theirs.
"""

import struct

from netshare.core.model import Family, Protocol

_COMMENT_RULE_TABLE_OR_ELEMENT = 0  # NFTNL_UDATA_{RULE,TABLE,SET_ELEM}_COMMENT
_KEY_BYTE_ORDER, _DATA_BYTE_ORDER, _KEY_TYPEOF, _DATA_TYPEOF, _DATA_INTERVAL, _COMMENT_SET = 0, 1, 3, 4, 6, 7
_TYPEOF_EXPRESSION, _TYPEOF_DATA = 0, 1
_PAYLOAD, _CONCAT, _NUMGEN = 7, 13, 23  # enum expr_types
_HEADER_ID = {Protocol.UDP: 6, Protocol.TCP: 8, Protocol.SCTP: 10, Family.IP: 12, Family.IP6: 13}  # enum proto_desc_id
_DESTINATION_PORT = 2  # TCPHDR_DPORT, UDPHDR_DPORT, SCTPHDR_DPORT
_DESTINATION_ADDRESS = {Family.IP: 12, Family.IP6: 9}  # IPHDR_DADDR, IP6HDR_DADDR


def _field(kind: int, payload: bytes) -> bytes:
    return struct.pack("=BB", kind, len(payload)) + payload


def _number(kind: int, value: int) -> bytes:
    return _field(kind, struct.pack("=I", value))


def comment(words: str) -> bytes:
    """Lay out a comment of a table, a rule or an element."""
    return _field(_COMMENT_RULE_TABLE_OR_ELEMENT, words.encode() + b"\0")


def read_comment(payload: memoryview | None) -> str:
    """Read the comment of a table, a rule or an element; empty where there is none."""
    data = bytes(payload or b"")
    while len(data) >= 2:  # noqa: PLR2004 (type and length)
        kind, length = data[0], data[1]
        if kind == _COMMENT_RULE_TABLE_OR_ELEMENT:
            return data[2 : 2 + length].split(b"\0", 1)[0].decode(errors="replace")
        data = data[2 + length :]
    return ""


def set_of_plain_types(*, is_map: bool, words: str) -> bytes:
    """Describe a set or map declared with ``type``: its key is a concatenation, its types say the rest."""
    parts = [
        _number(_KEY_BYTE_ORDER, 0),
        _number(_DATA_BYTE_ORDER, 0) if is_map else b"",
        _field(_KEY_TYPEOF, _number(_TYPEOF_EXPRESSION, _CONCAT) + _field(_TYPEOF_DATA, b"")),
        _number(_DATA_INTERVAL, 0) if is_map else b"",
        _field(_COMMENT_SET, words.encode() + b"\0"),
    ]
    return b"".join(parts)


def endpoint_map(protocol: Protocol, family: Family, *, bound: bool, words: str) -> bytes:
    """Describe ``typeof [ip daddr .] tcp dport . numgen inc mod 2 : ip daddr . tcp dport``."""
    port = _payload(protocol, _DESTINATION_PORT)
    address = _payload(family, _DESTINATION_ADDRESS[family])
    key = _concatenation(*((address,) if bound else ()), port, _numgen())
    return b"".join(
        (
            _number(_KEY_BYTE_ORDER, 0),
            _number(_DATA_BYTE_ORDER, 0),
            _field(_KEY_TYPEOF, key),
            _field(_DATA_TYPEOF, _concatenation(address, port)),
            _number(_DATA_INTERVAL, 0),
            _field(_COMMENT_SET, words.encode() + b"\0"),
        ),
    )


def _concatenation(*parts: bytes) -> bytes:
    body = b"".join(_field(index, part) for index, part in enumerate(parts))
    return _number(_TYPEOF_EXPRESSION, _CONCAT) + _field(_TYPEOF_DATA, body)


def _payload(header: Protocol | Family, field: int) -> bytes:
    body = _number(0, _HEADER_ID[header]) + _number(1, field)
    return _number(_TYPEOF_EXPRESSION, _PAYLOAD) + _field(_TYPEOF_DATA, body)


def _numgen() -> bytes:
    """``numgen inc mod 2``: any numgen has the type of a slot, and this is the shortest way to say it."""
    body = _number(0, 0) + _number(1, 2) + _number(2, 0)
    return _number(_TYPEOF_EXPRESSION, _NUMGEN) + _field(_TYPEOF_DATA, body)

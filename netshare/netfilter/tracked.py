"""What the kernel says of one tracked flow, read where every kernel so far has put it.

A host may track hundreds of thousands of flows, and pyroute2's decoder takes some 70 µs an attribute: so only those
bytes of each message are looked at that matter. A message of another shape (a flow in a zone of its own) is taken apart
attribute by attribute instead.

Sources: include/uapi/linux/netfilter/nfnetlink_conntrack.h, net/netfilter/nf_conntrack_netlink.c.
"""

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from netshare.core.model import Endpoint, IPAddress, Protocol
from netshare.netfilter.nftables.maps import PROTOCOL_NUMBER
from netshare.netfilter.nftables.wire import number, table_of, walk

TUPLE_ORIG, TUPLE_REPLY, PROTOINFO, MARK, ID, ZONE, MARK_MASK = 1, 2, 4, 8, 12, 18, 21  # CTA_*
TUPLE_IP, TUPLE_PROTO = 1, 2  # CTA_TUPLE_*
IPV4_SOURCE, IPV4_DESTINATION, IPV6_SOURCE, IPV6_DESTINATION = 1, 2, 3, 4  # CTA_IP_*
PROTO_NUMBER, PROTO_SOURCE_PORT, PROTO_DESTINATION_PORT = 1, 2, 3  # CTA_PROTO_*
PROTOINFO_OF = {Protocol.TCP: 1, Protocol.SCTP: 3}  # CTA_PROTOINFO_{TCP,SCTP}
STATE = 1  # CTA_PROTOINFO_TCP_STATE, CTA_PROTOINFO_SCTP_STATE

PROTOCOL = {number: protocol for protocol, number in PROTOCOL_NUMBER.items()}

_ATTRIBUTE = struct.Struct("=HH")
_FIRST_STATE = struct.Struct("=HHHHB")
_NESTED = 0x8000
_TYPE = 0x3FFF


class Ends(NamedTuple):
    """A flow's protocol and ends, as the kernel has them: who sent first, to whom, and who answers.

    ``rest`` is where in the message all else begins.
    """

    protocol: int
    client: bytes
    client_port: bytes
    listener: bytes
    listener_port: bytes
    endpoint: bytes
    endpoint_port: bytes
    rest: int


class _Shape:
    """Where the ends lie in messages of one family: the first two attributes are the tuples of both directions.

    Headers that follow each other are compared as one.
    """

    def __init__(self, source: int, destination: int, length: int) -> None:
        addresses = 4 + 2 * (4 + length)
        self._size = 2 * (4 + addresses + 4 + 3 * 8)
        self._unpack = struct.Struct("=" + 2 * f"12s{length}s4s{length}s8sB3x4s2s2x4s2s2x").unpack_from
        header = _ATTRIBUTE.pack
        self._headers = tuple(
            headers
            for direction in (TUPLE_ORIG, TUPLE_REPLY)
            for headers in (
                header(self._size // 2, direction | _NESTED)
                + header(addresses, TUPLE_IP | _NESTED)
                + header(4 + length, source),
                header(4 + length, destination),
                header(4 + 3 * 8, TUPLE_PROTO | _NESTED) + header(5, PROTO_NUMBER),
                header(6, PROTO_SOURCE_PORT),
                header(6, PROTO_DESTINATION_PORT),
            )
        )

    def ends(self, message: memoryview) -> Ends | None:
        """Read the ends; ``None`` where the message has another shape."""
        if len(message) < self._size:
            return None
        # fmt: off
        (h0, client, h1, listener, h2, protocol, h3, client_port, h4, listener_port,
         h5, endpoint, h6, _, h7, _, h8, endpoint_port, h9, _) = self._unpack(message)
        # fmt: on
        if (h0, h1, h2, h3, h4, h5, h6, h7, h8, h9) != self._headers:
            return None
        return Ends(protocol, client, client_port, listener, listener_port, endpoint, endpoint_port, self._size)


_SHAPES = _Shape(IPV4_SOURCE, IPV4_DESTINATION, 4), _Shape(IPV6_SOURCE, IPV6_DESTINATION, 16)


def ends(message: memoryview) -> Ends | None:
    """Read a flow's ends; ``None`` for a protocol netshare does not know, and for a message that is cut short."""
    for shape in _SHAPES:
        found = shape.ends(message)
        if found is not None:
            return found if found.protocol in PROTOCOL else None
    both = table_of(message)
    one, other = (_direction(both.get(kind)) for kind in (TUPLE_ORIG, TUPLE_REPLY))
    if one is None or other is None or one[0] != other[0]:
        return None
    return Ends(*one, *other[1:3], 0)


def _direction(tuple_: memoryview | None) -> tuple[int, bytes, bytes, bytes, bytes] | None:
    """Read protocol, source and destination of one direction."""
    parts = table_of(tuple_ or b"")
    addresses, ports = table_of(parts.get(TUPLE_IP, b"")), table_of(parts.get(TUPLE_PROTO, b""))
    source = addresses.get(IPV4_SOURCE, addresses.get(IPV6_SOURCE, b""))
    destination = addresses.get(IPV4_DESTINATION, addresses.get(IPV6_DESTINATION, b""))
    from_port, to_port = ports.get(PROTO_SOURCE_PORT, b""), ports.get(PROTO_DESTINATION_PORT, b"")
    protocol = number(ports.get(PROTO_NUMBER))
    lengths = len(source), len(destination), len(from_port), len(to_port)
    if protocol not in PROTOCOL or lengths not in ((4, 4, 2, 2), (16, 16, 2, 2)):
        return None
    return protocol, bytes(source), bytes(from_port), bytes(destination), bytes(to_port)


def mark(message: memoryview, found: Ends) -> int:
    """Read a flow's mark."""
    value = _attribute(message, found.rest, MARK)
    return int.from_bytes(value, "big")


def state(message: memoryview, found: Ends) -> int:
    """Read the state of a flow of TCP or SCTP; 0 where there is none."""
    kind = PROTOINFO_OF.get(PROTOCOL[found.protocol])
    if kind is None:
        return 0
    protoinfo = _attribute(message, found.rest, PROTOINFO)
    if len(protoinfo) < _FIRST_STATE.size:
        return 0
    # The state comes first in the attributes of its protocol.
    _, outer, length, inner, value = _FIRST_STATE.unpack_from(protoinfo)
    return int(value) if (outer & _TYPE, length, inner & _TYPE) == (kind, 5, STATE) else 0


def _attribute(message: memoryview, offset: int, wanted: int) -> memoryview:
    """Look for one attribute from somewhere on, and no further than it."""
    unpack, end = _ATTRIBUTE.unpack_from, len(message)
    while offset + 4 <= end:
        length, kind = unpack(message, offset)
        if length < 4 or offset + length > end:  # noqa: PLR2004 (an attribute's header)
            break
        if kind & _TYPE == wanted:
            return message[offset + 4 : offset + length]
        offset += length + (-length % 4)
    return message[:0]


def identity(message: memoryview) -> tuple[bytes, bytes]:
    """Copy the attributes by which the kernel finds this very flow again: its way back with its zone, and its number.

    The way back tells who answers, which the way there does not: if the client's next packet has already begun a flow
    to another replica, that one is not meant. The number alone would not tell them apart, a hash of the entry's place
    in memory and the way there (nf_ct_get_id): the new one often has the same.
    """
    found = dict.fromkeys((TUPLE_REPLY, ZONE, ID), b"")
    offset = 0
    for kind, value in walk(message):
        size = 4 + len(value) + (-len(value) % 4)
        if kind in found:
            found[kind] = bytes(message[offset : offset + size])
        offset += size
    return found[TUPLE_REPLY] + found[ZONE], found[ID]


def endpoint(address: bytes, port: bytes) -> Endpoint:
    """Make an endpoint of an address and port as the kernel has them."""
    return Endpoint(_address(address), int.from_bytes(port, "big"))


def _address(packed: bytes) -> IPAddress:
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)  # noqa: PLR2004 (bytes of an address)

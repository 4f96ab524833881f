"""Tracked flows as the kernel describes them (ctnetlink_fill_info)."""

from ipaddress import ip_address

from netshare.core.model import Endpoint, Protocol
from netshare.netfilter.nftables.chains import DEFAULT_MARK
from netshare.netfilter.nftables.maps import PROTOCOL_NUMBER
from netshare.netfilter.nftables.wire import attribute, nested, u32

CLIENT = {4: Endpoint(ip_address("198.18.0.2"), 40000), 6: Endpoint(ip_address("2001:db8::2"), 40000)}
LISTENER = {4: Endpoint(ip_address("198.18.0.1"), 80), 6: Endpoint(ip_address("2001:db8::1"), 80)}
ESTABLISHED = {Protocol.TCP: 3, Protocol.SCTP: 4}
_PROTOINFO = {Protocol.TCP: 1, Protocol.SCTP: 3}


def direction(kind: int, protocol: int, source: Endpoint, destination: Endpoint) -> bytes:
    first = 1 if source.address.version == 4 else 3
    addresses = attribute(first, source.address.packed), attribute(first + 1, destination.address.packed)
    ports = (attribute(2 + n, end.port.to_bytes(2, "big")) for n, end in enumerate((source, destination)))
    return nested(kind, nested(1, *addresses), nested(2, attribute(1, bytes([protocol])), *ports))


def flow(
    endpoint: Endpoint,
    protocol: Protocol = Protocol.TCP,
    *,
    client: Endpoint | None = None,
    listener: Endpoint | None = None,
    state: int | None = None,
    mark: int | None = DEFAULT_MARK,
    identity: int = 0xC0FFEE,
    is_shaped_otherwise: bool = False,
) -> memoryview:
    """Describe a flow to an endpoint; one in a zone has an attribute between its tuples."""
    version, number = endpoint.address.version, PROTOCOL_NUMBER[protocol]
    client, listener = client or CLIENT[version], listener or LISTENER[version]
    parts = [
        direction(1, number, client, listener),
        attribute(18, b"\0\7") if is_shaped_otherwise else b"",
        direction(2, number, endpoint, client),
        u32(3, 0x1A8),
        u32(7, 431_999),
    ]
    if protocol in _PROTOINFO:
        shown = ESTABLISHED[protocol] if state is None else state
        parts.append(nested(4, nested(_PROTOINFO[protocol], attribute(1, bytes([shown])), attribute(2, b"\7"))))
    if mark is not None:
        parts.append(u32(8, mark))
    return memoryview(b"".join((*parts, u32(12, identity), u32(11, 1))))

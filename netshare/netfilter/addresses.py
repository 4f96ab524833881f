"""The addresses of this host's interfaces, over rtnetlink.

Sources: include/uapi/linux/if_addr.h, include/uapi/linux/rtnetlink.h.
"""

import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from netshare.core.model import IPAddress
from netshare.errors import NetfilterError
from netshare.netfilter.nftables.wire import table_of

_HEADER = struct.Struct("=IHHII")
_ADDRESS_MESSAGE = struct.Struct("=BBBBI")  # struct ifaddrmsg
_GET_ADDRESSES, _NEW_ADDRESS = 22, 20
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3
_PEER, _OWN = 1, 2  # IFA_ADDRESS, IFA_LOCAL
_RECEIVE = 1 << 16


def own_addresses() -> frozenset[IPAddress]:
    """List the addresses that are this host's own, in the calling thread's network namespace.

    Raises:
        NetfilterError: the kernel does not say.

    """
    body = _ADDRESS_MESSAGE.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    question = _HEADER.pack(_HEADER.size + len(body), _GET_ADDRESSES, _REQUEST_DUMP, 1, 0) + body
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as asking:
            asking.bind((0, 0))
            asking.send(question)
            return frozenset(_answers(asking))
    except OSError as error:
        raise NetfilterError(f"could not ask the kernel for this host's addresses: {error.strerror}") from error


def _answers(asking: socket.socket) -> Iterator[IPAddress]:
    while True:
        data = memoryview(asking.recv(_RECEIVE))
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, *_ = _HEADER.unpack_from(data, offset)
            payload = data[offset + _HEADER.size : offset + length]
            if kind in (_ERROR, _DONE):
                code = -int(struct.unpack_from("=i", payload)[0]) if len(payload) >= 4 else 0  # noqa: PLR2004
                if code:
                    raise OSError(code, os.strerror(code))
                return
            if kind == _NEW_ADDRESS and (address := parse(payload)) is not None:
                yield address
            offset += max(length + (-length % 4), _HEADER.size)


def parse(payload: memoryview) -> IPAddress | None:
    """Read the host's own side of one address: on a link between two hosts, IFA_ADDRESS is the other's."""
    attributes = table_of(payload[_ADDRESS_MESSAGE.size :])
    packed = attributes.get(_OWN, attributes.get(_PEER, memoryview(b"")))
    match len(packed):
        case 4:
            return IPv4Address(bytes(packed))
        case 16:
            return IPv6Address(bytes(packed))
    return None

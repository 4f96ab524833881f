"""The subnets of this host's interfaces, as the routing tables tell them; and which interfaces are bridges.

Read from /proc, not over rtnetlink: it is asked before every change, and two short text files take a tenth of a
millisecond. ``/proc/thread-self`` and not ``/proc/net``, which is the main thread's network namespace.
"""

import ctypes
import fcntl
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from netshare.core.links import Link

_NET = Path("/proc/thread-self/net")
_RTF_UP, _RTF_GATEWAY, _RTF_LOCAL = 0x1, 0x2, 0x80000000  # include/uapi/linux/{route,ipv6_route}.h
_SIOCETHTOOL, _ETHTOOL_GDRVINFO = 0x8946, 0x3
_DRIVER_INFO = struct.Struct("=I32s164s")  # struct ethtool_drvinfo
_IFREQ = struct.Struct("16sP16x")


def links() -> list[Link]:
    """List the subnets that are reached without a gateway, the loopback's aside."""
    found = [*parse_ipv4(_read("route")), *parse_ipv6(_read("ipv6_route"))]
    return list(dict.fromkeys(found))


def _read(name: str) -> str:
    path = _NET / name
    return path.read_text() if path.exists() else ""  # there is no ipv6_route where IPv6 is disabled


def parse_ipv4(table: str) -> Iterator[Link]:
    """Parse /proc/net/route: addresses and masks are hexadecimal, in the host's byte order (fib_trie.c)."""
    for line in table.splitlines()[1:]:
        interface, destination, _, flags, _, _, _, mask = line.split()[:8]
        if int(flags, 16) & (_RTF_UP | _RTF_GATEWAY) == _RTF_UP and int(mask, 16):
            address, netmask = (IPv4Address(struct.pack("=I", int(word, 16))) for word in (destination, mask))
            if not address.is_loopback:
                yield Link(interface, IPv4Network(f"{address}/{netmask}"))


def parse_ipv6(table: str) -> Iterator[Link]:
    """Parse /proc/net/ipv6_route, which lists every table, and the host's own addresses too (net/ipv6/route.c)."""
    for line in table.splitlines():
        words = line.split()
        flags, interface = int(words[8], 16), words[9]
        address, length = IPv6Address(int(words[0], 16)), int(words[1], 16)
        if flags & (_RTF_UP | _RTF_GATEWAY | _RTF_LOCAL) != _RTF_UP or interface == "lo":
            continue
        if 0 < length < 128 and not address.is_link_local and not address.is_multicast:  # noqa: PLR2004
            yield Link(interface, IPv6Network((address, length)))


def is_bridge(interface: str) -> bool:
    """Whether an interface of this thread's namespace is a bridge: its driver says so (net/bridge/br_device.c)."""
    information = ctypes.create_string_buffer(_DRIVER_INFO.pack(_ETHTOOL_GDRVINFO, b"", b""))
    request = _IFREQ.pack(interface.encode(), ctypes.addressof(information))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            fcntl.ioctl(any_socket, _SIOCETHTOOL, request)
        except OSError:  # gone, or a device without a driver to name
            return False
    driver = _DRIVER_INFO.unpack_from(information.raw)[1]
    return bool(driver.rstrip(b"\0") == b"bridge")

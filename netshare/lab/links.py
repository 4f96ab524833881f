"""Links, addresses and routes, over netlink, in the network namespace of the calling thread.

Every function here is meant to be run by `Namespace.run`. pyroute2's socket is created by the thread that calls it and
so acts in that thread's namespace.
"""

from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

from pyroute2 import IPRoute

from netshare.core.model import IPAddress
from netshare.errors import NotPermittedError

IPInterface = IPv4Interface | IPv6Interface

_IFA_F_NODAD = 0x02
_PROC_SYS_NET = Path("/proc/sys/net")


def write_sysctls(values: Iterable[tuple[str, int]]) -> None:
    """Set sysctls below ``net``, by their names with slashes."""
    for name, value in values:
        try:
            _PROC_SYS_NET.joinpath(name).write_text(str(value), encoding="ascii")
        except PermissionError as error:
            raise NotPermittedError(
                f"cannot set net/{name} in a namespace of netshare's own: {error.strerror}",
                hint="/proc/sys is read-only in an unprivileged container: run it on the host",
            ) from error


def prepare(*, ipv6: bool) -> None:
    """Make a new namespace usable: loopback is up, and addresses work the moment they are added."""
    if ipv6:
        # Duplicate address detection would keep every new address unusable for a second. A new namespace may inherit
        # a disabled IPv6 from the host (net.core.devconf_inherit_init_net).
        write_sysctls(
            (f"ipv6/conf/{scope}/{key}", 0) for scope in ("all", "default") for key in ("disable_ipv6", "accept_dad")
        )
    with IPRoute() as netlink:
        netlink.link("set", index=_index(netlink, "lo"), state="up")


def forward_packets(*, ipv6: bool) -> None:
    """Make the namespace a router, as Docker makes its host one."""
    write_sysctls([("ipv4/ip_forward", 1)])
    if ipv6:
        write_sysctls([("ipv6/conf/all/forwarding", 1)])


def add_bridge(name: str, addresses: Iterable[IPInterface]) -> None:
    """Add a bridge with the host's addresses on it.

    Its hardware address is given, as Docker's bridges' are: else it is the lowest of its ports' and changes as they
    come and go (br_stp_recalculate_bridge_id), and packets to the one that neighbours know are lost.
    """
    own = list(addresses)
    hardware = "02:42:" + ":".join(f"{byte:02x}" for byte in own[0].packed[:4])
    with IPRoute() as netlink:
        netlink.link("add", ifname=name, kind="bridge", address=hardware)
        _bring_up(netlink, name, own)


def add_cable(name: str, peer: str, peer_namespace: str) -> None:
    """Add a veth pair, the far end of which lies in another namespace; both ends are down."""
    with open(peer_namespace, "rb") as file, IPRoute() as netlink:  # noqa: PTH123 (a descriptor, not a content)
        netlink.link("add", ifname=name, kind="veth", peer={"ifname": peer, "net_ns_fd": file.fileno()})


def join_bridge(name: str, bridge: str) -> None:
    """Plug a link into a bridge and bring it up."""
    with IPRoute() as netlink:
        netlink.link("set", index=_index(netlink, name), master=_index(netlink, bridge))
        _bring_up(netlink, name, ())


def bring_up(name: str, addresses: Iterable[IPInterface]) -> None:
    """Give a link its addresses and bring it up."""
    with IPRoute() as netlink:
        _bring_up(netlink, name, addresses)


def add_default_routes(gateways: Iterable[IPAddress]) -> None:
    """Send everything else to these, one a family."""
    with IPRoute() as netlink:
        for gateway in gateways:
            anywhere = "0.0.0.0/0" if gateway.version == 4 else "::/0"  # noqa: PLR2004 (the number is the name)
            netlink.route("add", dst=anywhere, gateway=str(gateway))


def delete_link(name: str) -> None:
    """Delete a link; a veth takes its peer with it, whatever namespace that is in."""
    with IPRoute() as netlink:
        netlink.link("del", index=_index(netlink, name))


def names() -> frozenset[str]:
    """Name the links there are."""
    with IPRoute() as netlink:
        return frozenset(str(link.get("ifname")) for link in netlink.get_links())


def _bring_up(netlink: IPRoute, name: str, addresses: Iterable[IPInterface]) -> None:
    index = _index(netlink, name)
    for address in addresses:
        flags = {"flags": _IFA_F_NODAD} if address.version == 6 else {}  # noqa: PLR2004 (the number is the name)
        netlink.addr("add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen, **flags)
    netlink.link("set", index=index, state="up")


def _index(netlink: IPRoute, name: str) -> int:
    match netlink.link_lookup(ifname=name):
        case [int(index)]:
            return index
    raise LookupError(f"no link is called {name} in this network namespace")

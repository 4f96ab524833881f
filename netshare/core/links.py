"""The subnets this host is directly on, and which of them hold endpoints."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from netshare.core.model import IPAddress

IPNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Link:
    """A subnet and the host's interface on it."""

    interface: str
    network: IPNetwork


def in_use(links: Iterable[Link], addresses: Iterable[IPAddress]) -> list[Link]:
    """Pick the links whose subnet holds one of the addresses.

    One pass over the addresses for each prefix length: there may be a hundred thousand of them.
    """
    everyone = list(addresses)
    prefixes: dict[tuple[int, int], set[int]] = {}
    found = []
    for link in links:
        network = link.network
        kind = (network.version, network.prefixlen)
        if kind not in prefixes:
            mask = int(network.netmask)
            prefixes[kind] = {int(address) & mask for address in everyone if address.version == network.version}
        if int(network.network_address) in prefixes[kind]:
            found.append(link)
    return found


def without_nested(networks: Iterable[IPNetwork]) -> frozenset[IPNetwork]:
    """Drop every subnet that lies in another one: the kernel's interval sets refuse elements that overlap."""
    everyone = frozenset(networks)
    return frozenset(
        network for network in everyone if not any(network != other and _lies_in(network, other) for other in everyone)
    )


def _lies_in(network: IPNetwork, other: IPNetwork) -> bool:
    return network.version == other.version and network.network_address in other and network.prefixlen > other.prefixlen

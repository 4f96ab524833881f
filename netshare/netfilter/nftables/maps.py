"""The sets and maps of netshare's table: names, declarations, and elements as bytes and in nft's words.

* ``services-*`` say for a destination which chain it goes to: one that draws a slot, or ``refuse``.
* ``*-endpoints`` say for a destination and a slot which endpoint it is rewritten to.
* ``connections-*`` count the new connections of each endpoint, on their way out.
* ``hairpin-*`` say between whom the source has to be rewritten as well.

A map of endpoints exists while some service uses it. There is one per protocol because nft types ports by protocol:
with ``th dport`` there, or one map for all, a saved ruleset either does not load beside a running one or comes back
serving TCP alone.
"""

import socket
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_network

from netshare.core.links import IPNetwork
from netshare.core.model import Endpoint, Family, IPAddress, Protocol
from netshare.core.ruleset import Match, Target
from netshare.netfilter.nftables import userdata
from netshare.netfilter.nftables.expressions import host_u32, read_host_u32

PROTOCOL_NUMBER = {
    Protocol.TCP: int(socket.IPPROTO_TCP),
    Protocol.UDP: int(socket.IPPROTO_UDP),
    Protocol.SCTP: int(socket.IPPROTO_SCTP),
}
_PROTOCOL = {number: protocol for protocol, number in PROTOCOL_NUMBER.items()}
ADDRESS_LENGTH = {Family.IP: 4, Family.IP6: 16}
SLOT_LENGTH = 4
_TYPE_ADDRESS = {Family.IP: 7, Family.IP6: 8}  # enum datatypes of nft
_TYPE_PROTOCOL, _TYPE_SERVICE, _TYPE_INTEGER, TYPE_VERDICT = 12, 13, 4, 0xFFFFFF00
_TYPE_NAME = {Family.IP: "ipv4_addr", Family.IP6: "ipv6_addr"}


@dataclass(frozen=True, slots=True)
class SetSpec:
    """How a set or map is declared; lengths are in bytes.

    A set of intervals names the length of each field of its key.
    """

    name: str
    declaration: str
    comment: str
    key_type: int
    key_length: int
    userdata: bytes
    data_type: int | None = None
    data_length: int = 0
    counted: bool = False
    interval_fields: tuple[int, ...] = ()


def _types(*ids: int) -> int:
    """Combine the types of a concatenation, six bits each (nft's TYPE_BITS)."""
    combined = 0
    for each in ids:
        combined = combined << 6 | each
    return combined


def _port(number: int) -> bytes:
    return number.to_bytes(2, "big") + b"\0\0"


def _protocol(protocol: Protocol) -> bytes:
    return bytes((PROTOCOL_NUMBER[protocol], 0, 0, 0))


def _address(family: Family, packed: bytes) -> IPAddress:
    number = int.from_bytes(packed, "big")
    return IPv4Address(number) if family is Family.IP else IPv6Address(number)


@dataclass(frozen=True, slots=True)
class ServiceMap:
    """The listeners of one family: on every local address, or (``bound``) on one."""

    family: Family
    bound: bool

    @property
    def name(self) -> str:
        """``services-ip6-bound``."""
        return f"services-{self.family}{'-bound' if self.bound else ''}"

    @property
    @cache  # noqa: B019 (there are a few dozen maps at most, for ever)
    def spec(self) -> SetSpec:
        """How it is declared."""
        words = "listeners on one address" if self.bound else "listeners on every local address"
        address = (_TYPE_ADDRESS[self.family],) if self.bound else ()
        typed = f"{_TYPE_NAME[self.family]} . " if self.bound else ""
        return SetSpec(
            name=self.name,
            declaration=f"type {typed}inet_proto . inet_service : verdict",
            comment=words,
            key_type=_types(*address, _TYPE_PROTOCOL, _TYPE_SERVICE),
            key_length=8 + (ADDRESS_LENGTH[self.family] if self.bound else 0),
            userdata=userdata.set_of_plain_types(is_map=True, words=words),
            data_type=TYPE_VERDICT,
        )

    @classmethod
    def of(cls, match: Match) -> "ServiceMap":
        """Find the map a match belongs in."""
        return cls(match.family, match.address is not None)

    def key(self, match: Match) -> bytes:
        """Pack ``[address .] protocol . port``."""
        address = b"" if match.address is None else match.address.packed
        return address + _protocol(match.protocol) + _port(match.port)

    def match(self, key: bytes) -> Match | None:
        """Unpack a key; ``None`` for a protocol netshare does not know."""
        start = ADDRESS_LENGTH[self.family] if self.bound else 0
        protocol = _PROTOCOL.get(key[start])
        if protocol is None:
            return None
        address = _address(self.family, key[:start]) if self.bound else None
        return Match(self.family, protocol, int.from_bytes(key[start + 4 : start + 6], "big"), address)

    def words(self, match: Match) -> str:
        """Say a key in nft's words."""
        address = "" if match.address is None else f"{match.address} . "
        return f"{address}{match.protocol} . {match.port}"


@dataclass(frozen=True, slots=True)
class EndpointMap:
    """Which endpoint each slot of a listener is, for listeners of one protocol and family."""

    protocol: Protocol
    family: Family
    bound: bool

    @property
    def prefix(self) -> str:
        """``tcp-ip6-bound``: what this map's name and its chains' begin with."""
        return f"{self.protocol}-{self.family}{'-bound' if self.bound else ''}"

    @property
    def name(self) -> str:
        """``tcp-ip-endpoints``."""
        return f"{self.prefix}-endpoints"

    @property
    @cache  # noqa: B019 (there are a few dozen maps at most, for ever)
    def spec(self) -> SetSpec:
        """How it is declared."""
        words = "listener and slot : endpoint"
        address = (_TYPE_ADDRESS[self.family],) if self.bound else ()
        typed = f"{self.family} daddr . " if self.bound else ""
        length = ADDRESS_LENGTH[self.family]
        return SetSpec(
            name=self.name,
            declaration=(
                f"typeof {typed}{self.protocol} dport . numgen inc mod 2 : {self.family} daddr . {self.protocol} dport"
            ),
            comment=words,
            key_type=_types(*address, _TYPE_SERVICE, _TYPE_INTEGER),
            key_length=8 + (length if self.bound else 0),
            userdata=userdata.endpoint_map(self.protocol, self.family, bound=self.bound, words=words),
            data_type=_types(_TYPE_ADDRESS[self.family], _TYPE_SERVICE),
            data_length=length + 4,
        )

    @classmethod
    def of(cls, match: Match) -> "EndpointMap":
        """Find the map a match's slots belong in."""
        return cls(match.protocol, match.family, match.address is not None)

    def key_prefix(self, match: Match) -> bytes:
        """Pack all of a key but the slot: ``[address .] port``."""
        address = b"" if match.address is None else match.address.packed
        return address + _port(match.port)

    def slot_key(self, prefix: bytes, slot: int) -> bytes:
        """Pack a whole key; the slot as numgen leaves it, in the host's byte order."""
        return prefix + host_u32(slot)

    def entry(self, key: bytes) -> tuple[Match, int]:
        """Unpack a key into the listener's match and the slot."""
        start = ADDRESS_LENGTH[self.family] if self.bound else 0
        address = _address(self.family, key[:start]) if self.bound else None
        match = Match(self.family, self.protocol, int.from_bytes(key[start : start + 2], "big"), address)
        return match, read_host_u32(key[start + 4 : start + 8])

    def data(self, endpoint: Endpoint) -> bytes:
        """Pack ``address . port``."""
        return endpoint.address.packed + _port(endpoint.port)

    def endpoint(self, data: bytes) -> Endpoint:
        """Unpack ``address . port``."""
        length = ADDRESS_LENGTH[self.family]
        return Endpoint(_address(self.family, data[:length]), int.from_bytes(data[length : length + 2], "big"))

    def words(self, match: Match, slot: int, endpoint: Endpoint) -> str:
        """Say an element in nft's words."""
        address = "" if match.address is None else f"{match.address} . "
        return f"{address}{match.port} . {slot} : {endpoint.address} . {endpoint.port}"


@dataclass(frozen=True, slots=True)
class ConnectionSet:
    """The endpoints of one family, each with a counter of its new connections.

    Counted on the way out, in the nat hook of postrouting: once a flow, after the other firewalls let it pass, and
    whatever slots name the endpoint.
    """

    family: Family

    @property
    def name(self) -> str:
        """``connections-ip``."""
        return f"connections-{self.family}"

    @property
    @cache  # noqa: B019 (there are a few dozen maps at most, for ever)
    def spec(self) -> SetSpec:
        """How it is declared."""
        words = "new connections of each endpoint"
        return SetSpec(
            name=self.name,
            declaration=f"type {_TYPE_NAME[self.family]} . inet_proto . inet_service",
            comment=words,
            key_type=_types(_TYPE_ADDRESS[self.family], _TYPE_PROTOCOL, _TYPE_SERVICE),
            key_length=ADDRESS_LENGTH[self.family] + 8,
            userdata=userdata.set_of_plain_types(is_map=False, words=words),
            counted=True,
        )

    @classmethod
    def of(cls, target: Target) -> "ConnectionSet":
        """Find the set a target belongs in."""
        return cls(target.endpoint.family)

    def key(self, target: Target) -> bytes:
        """Pack ``address . protocol . port``."""
        return target.endpoint.address.packed + _protocol(target.protocol) + _port(target.endpoint.port)

    def target(self, key: bytes) -> Target | None:
        """Unpack a key; ``None`` for a protocol netshare does not know."""
        start = ADDRESS_LENGTH[self.family]
        protocol = _PROTOCOL.get(key[start])
        if protocol is None:
            return None
        port = int.from_bytes(key[start + 4 : start + 6], "big")
        return Target(protocol, Endpoint(_address(self.family, key[:start]), port))

    def words(self, target: Target) -> str:
        """Say an element in nft's words."""
        return f"{target.endpoint.address} . {target.protocol} . {target.endpoint.port}"


@dataclass(frozen=True, slots=True)
class HairpinSet:
    """The subnets of one family whose members reach each other through this host, as pairs: from it, and to it."""

    family: Family

    @property
    def name(self) -> str:
        """``hairpin-ip``."""
        return f"hairpin-{self.family}"

    @property
    @cache  # noqa: B019 (there are two, for ever)
    def spec(self) -> SetSpec:
        """How it is declared."""
        words = "subnets with endpoints in them"
        length, kind, name = ADDRESS_LENGTH[self.family], _TYPE_ADDRESS[self.family], _TYPE_NAME[self.family]
        return SetSpec(
            name=self.name,
            declaration=f"type {name} . {name}",
            comment=words,
            key_type=_types(kind, kind),
            key_length=2 * length,
            userdata=userdata.set_of_plain_types(is_map=False, words=words),
            interval_fields=(length, length),
        )

    @classmethod
    def of(cls, network: IPNetwork) -> "HairpinSet":
        """Find the set a subnet belongs in."""
        return cls(Family.of(network.network_address))

    def key(self, network: IPNetwork) -> tuple[bytes, bytes]:
        """Pack the first and the last pair of addresses."""
        return network.network_address.packed * 2, network.broadcast_address.packed * 2

    def network(self, first: bytes, last: bytes) -> IPNetwork | None:
        """Unpack them; ``None`` where they are not one subnet twice."""
        half = len(first) // 2
        start, end = _address(self.family, first[:half]), _address(self.family, last[:half])
        length = half * 8 - (int(start) ^ int(end)).bit_length()
        try:
            network = ip_network((int(start).to_bytes(half, "big"), length))
        except ValueError:
            return None
        return network if self.key(network) == (first, last) else None

    def words(self, network: IPNetwork) -> str:
        """Say an element in nft's words."""
        return f"{network} . {network}"


SERVICE_MAPS = tuple(ServiceMap(family, bound) for family in Family for bound in (False, True))
CONNECTION_SETS = tuple(ConnectionSet(family) for family in Family)
HAIRPIN_SETS = tuple(HairpinSet(family) for family in Family)
FIXED_SETS: tuple[ServiceMap | ConnectionSet | HairpinSet, ...] = (*SERVICE_MAPS, *CONNECTION_SETS, *HAIRPIN_SETS)
"""The sets and maps that are there from the first service to ``reset``."""

"""The chains of netshare's table, each rule in the kernel's expressions and in nft's words, side by side.

The fixed part is the same on every host and for any number of services. A chain that draws one of N slots exists while
some service has N.
"""

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from netshare.core.model import Family, IPAddress, Protocol, Strategy
from netshare.core.ruleset import Match
from netshare.netfilter.made_by import made_by
from netshare.netfilter.nftables import expressions as nft
from netshare.netfilter.nftables.expressions import Compare, Header, Meta, Verdict
from netshare.netfilter.nftables.maps import (
    ADDRESS_LENGTH,
    CONNECTION_SETS,
    HAIRPIN_SETS,
    PROTOCOL_NUMBER,
    EndpointMap,
    ServiceMap,
)

TABLE = "netshare"
SCHEMA = 2
"""Raised with every change to the tables, maps and rules: a table of another schema is rebuilt."""
TABLE_COMMENT = made_by(SCHEMA)
DEFAULT_MARK = 0x01000000
"""The bit of a flow's mark that says it is netshare's; clear of kube-proxy, netavark, Tailscale and Calico."""
REFUSE = "refuse"
HASH_SEED = 0x6E657473
"""Fixed, so that a client is led to the same replica after a reload; ``nets`` in ASCII."""
_SPARE_WORD = 12  # NFT_REG_4: clear of the longest key, whose address, port and slot take six words

_NFPROTO = {Family.IP: nft.NFPROTO_IPV4, Family.IP6: nft.NFPROTO_IPV6}
_DESTINATION = {Family.IP: (16, 4), Family.IP6: (24, 16)}  # offset and length in the network header
_SOURCE = {Family.IP: (12, 4), Family.IP6: (8, 16)}  # likewise
_DESTINATION_PORT = (2, 2)  # likewise in the header of TCP, UDP and SCTP


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, in nft's words and in the kernel's expressions; the comment is how it is known again."""

    words: str
    expressions: tuple[bytes, ...]
    comment: str


@dataclass(frozen=True, slots=True)
class Hook:
    """Where a base chain sits: its type, hook number and priority."""

    kind: str
    name: str
    number: int
    priority: int


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain and its rules."""

    name: str
    rules: tuple[Rule, ...]
    hook: Hook | None = None


@dataclass(frozen=True, slots=True)
class StrategyChain:
    """The chain that draws one of ``size`` slots; every service of that size and strategy shares it.

    In round-robin the count is the rule's: services in turn at one rule would starve each other's replicas. So a
    listener has a chain of its own there, and ``listener`` says whose it is.
    """

    map: EndpointMap
    strategy: Strategy
    size: int
    listener: tuple[int, IPAddress | None] | None = None

    @classmethod
    def of(cls, match: Match, strategy: Strategy, size: int) -> "StrategyChain":
        """Find the chain for a match."""
        listener = (match.port, match.address) if strategy is Strategy.ROUND_ROBIN else None
        return cls(EndpointMap.of(match), strategy, size, listener)

    @property
    def name(self) -> str:
        """``tcp-ip-random-3``, ``tcp-ip-bound-round-robin-2-port-80-at-0a000001``."""
        name = f"{self.map.prefix}-{self.strategy}-{self.size}"
        if self.listener is None:
            return name
        port, address = self.listener
        return f"{name}-port-{port}" + ("" if address is None else f"-at-{address.packed.hex()}")

    @classmethod
    def parse(cls, name: str) -> "StrategyChain | None":
        """Recognise a chain of ours by its name."""
        protocols, families, strategies = ("|".join(kind) for kind in (Protocol, Family, Strategy))
        found = re.fullmatch(
            rf"({protocols})-({families})(-bound)?-({strategies})-(\d+)(?:-port-(\d+)(?:-at-([0-9a-f]{{8}}|[0-9a-f]{{32}}))?)?",
            name,
        )
        if found is None:
            return None
        protocol, family, bound, strategy, size, port, address = found.groups()
        place = EndpointMap(Protocol(protocol), Family(family), bound is not None)
        listener = None if port is None else (int(port), None if address is None else _unpacked(address))
        return cls(place, Strategy(strategy), int(size), listener)

    def chain(self, mark: int) -> Chain:
        """Write its rules down: mark the flow as netshare's, draw a slot, look its endpoint up."""
        family, protocol = self.map.family, self.map.protocol
        words = ADDRESS_LENGTH[family] // 4 if self.map.bound else 0
        address = (nft.payload(Header.NETWORK, *_DESTINATION[family]),) if self.map.bound else ()
        number, drawn = self._number(words + 1)
        looks_at_addresses = self.map.bound or self.strategy is Strategy.SOURCE_HASH
        key = f"{family} daddr . {protocol} dport" if self.map.bound else f"{protocol} dport"
        draw = Rule(
            f"ct mark set ct mark | {mark:#010x} dnat {family} to {key} . {number} map @{self.map.name}",
            (
                *nft.conntrack_mark_or(mark),
                *(nft.is_family(_NFPROTO[family]) if looks_at_addresses else ()),
                *nft.is_protocol(PROTOCOL_NUMBER[protocol]),
                *address,
                nft.payload(Header.TRANSPORT, *_DESTINATION_PORT, to=words),
                *drawn,
                nft.lookup(self.map.name, into=nft.register(0)),
                nft.dnat(_NFPROTO[family], address_word=0, port_word=ADDRESS_LENGTH[family] // 4),
            ),
            f"one of {self.size}",
        )
        return Chain(self.name, (_REFUSE_LOOPBACK, draw) if family is Family.IP6 else (draw,))

    def _number(self, word: int) -> tuple[str, tuple[bytes, ...]]:
        """Say how the slot's number comes about, in words and in expressions that leave it in a register."""
        family = self.map.family
        match self.strategy:
            case Strategy.RANDOM:
                return f"numgen random mod {self.size}", (nft.numgen_random(self.size, to=word),)
            case Strategy.ROUND_ROBIN:
                return f"numgen inc mod {self.size}", (nft.numgen_in_turn(self.size, to=word),)
            case Strategy.SOURCE_HASH:
                offset, length = _SOURCE[family]
                return (
                    f"jhash {family} saddr mod {self.size} seed {HASH_SEED:#x}",
                    (
                        nft.payload(Header.NETWORK, offset, length, to=_SPARE_WORD),
                        nft.jhash(self.size, HASH_SEED, length, word=_SPARE_WORD, to=word),
                    ),
                )


def _unpacked(address: str) -> IPAddress:
    return ip_address(bytes.fromhex(address))


def fixed_chains(mark: int) -> tuple[Chain, ...]:
    """Write down the chains that are there from the first service to ``reset``."""
    return (
        Chain(REFUSE, _refuse()),
        Chain("dispatch", tuple(_dispatch())),
        *_twice("prerouting", 0, "from outside, from containers"),
        *_twice("output", 3, "from the host itself"),
        Chain("postrouting", tuple(_postrouting(mark)), Hook("nat", "postrouting", 4, 99)),
        Chain("guard", (_guard(),), Hook("filter", "prerouting", 0, -300)),
    )


def _refuse() -> tuple[Rule, ...]:
    return (
        Rule(
            "meta l4proto tcp reject with tcp reset",
            (*nft.is_protocol(socket.IPPROTO_TCP), nft.reject_reset()),
            "no replica is ready: say so at once",
        ),
        Rule("reject", (nft.reject_unreachable(),), "likewise"),
    )


def _dispatch() -> Iterable[Rule]:
    yield Rule(
        "fib daddr type != local return",
        (
            nft.fib_destination_type(),
            nft.compare(Compare.NEQ, nft.host_u32(nft.RTN_LOCAL)),
            nft.immediate(Verdict.RETURN),
        ),
        "only the host's own addresses",
    )
    for family in Family:
        offset, length = _DESTINATION[family]
        bound, every = ServiceMap(family, bound=True), ServiceMap(family, bound=False)
        yield Rule(
            f"{family} daddr . meta l4proto . th dport vmap @{bound.name}",
            (
                *nft.is_family(_NFPROTO[family]),
                nft.payload(Header.NETWORK, offset, length),
                nft.meta(Meta.L4PROTO, to=length // 4),
                nft.payload(Header.TRANSPORT, *_DESTINATION_PORT, to=length // 4 + 1),
                nft.lookup(bound.name, into=nft.VERDICT_REGISTER),
            ),
            "listeners on one address first",
        )
        yield Rule(
            f"meta nfproto ipv{4 if family is Family.IP else 6} meta l4proto . th dport vmap @{every.name}",
            (
                *nft.is_family(_NFPROTO[family]),
                nft.meta(Meta.L4PROTO),
                nft.payload(Header.TRANSPORT, *_DESTINATION_PORT, to=1),
                nft.lookup(every.name, into=nft.VERDICT_REGISTER),
            ),
            "listeners on every address",
        )


def _twice(hook: str, number: int, comment: str) -> tuple[Chain, Chain]:
    """Send a new flow to dispatch, and once more where that found nothing.

    A commit is atomic for chains (nft_do_chain reads net->nft.gencursor once) and for each lookup in a set, but not for
    both together: a packet met by one may look in the new maps for what the old rules drew, and find nothing. A second
    base chain begins anew. What was rewritten by the first does not come to the second (nf_nat_inet_fn).
    """
    return (
        Chain(hook, (_jump_to_dispatch(comment),), Hook("nat", hook, number, -112)),
        Chain(
            f"{hook}-again", (_jump_to_dispatch("in case a commit came in between"),), Hook("nat", hook, number, -111)
        ),
    )


def _jump_to_dispatch(comment: str) -> Rule:
    return Rule("jump dispatch", (nft.immediate(Verdict.JUMP, "dispatch"),), comment)


def _postrouting(mark: int) -> Iterable[Rule]:
    yield Rule(
        f"ct mark & {mark:#010x} == 0x00000000 return",
        (*nft.conntrack_mark_is_clear(mark), nft.immediate(Verdict.RETURN)),
        "only netshare's flows",
    )
    for counted in CONNECTION_SETS:
        offset, length = _DESTINATION[counted.family]
        yield Rule(
            f"{counted.family} daddr . meta l4proto . th dport @{counted.name}",
            (
                *nft.is_family(_NFPROTO[counted.family]),
                nft.payload(Header.NETWORK, offset, length),
                nft.meta(Meta.L4PROTO, to=length // 4),
                nft.payload(Header.TRANSPORT, *_DESTINATION_PORT, to=length // 4 + 1),
                nft.lookup(counted.name),
            ),
            "count",
        )
    yield Rule(
        'ip saddr 127.0.0.0/8 oifname != "lo" masquerade',
        (
            *nft.is_family(nft.NFPROTO_IPV4),
            nft.payload(Header.NETWORK, 12, 1),
            nft.compare(Compare.EQ, bytes([127])),
            nft.meta(Meta.OIFNAME),
            nft.compare(Compare.NEQ, nft.interface_name("lo")),
            nft.masquerade(),
        ),
        "clients of 127.0.0.1: a replica could not answer that address",
    )
    for subnets in HAIRPIN_SETS:
        source, length = _SOURCE[subnets.family]
        yield Rule(
            f"{subnets.family} saddr . {subnets.family} daddr @{subnets.name} masquerade",
            (
                *nft.is_family(_NFPROTO[subnets.family]),
                nft.payload(Header.NETWORK, source, length),
                nft.payload(Header.NETWORK, *_DESTINATION[subnets.family], to=length // 4),
                nft.lookup(subnets.name),
                nft.masquerade(),
            ),
            "members of one subnet: the answer must come back through here",
        )


def _guard() -> Rule:
    """Keep what listens on 127.0.0.1 the host's own, where route_localnet would let others in (CVE-2020-8558).

    Every packet of the host comes by, so what nearly all fail is asked first.
    """
    return Rule(
        'ip daddr 127.0.0.0/8 iifname != "lo" drop',
        (
            *nft.is_family(nft.NFPROTO_IPV4),
            nft.payload(Header.NETWORK, 16, 1),
            nft.compare(Compare.EQ, bytes([127])),
            nft.meta(Meta.IIFNAME),
            nft.compare(Compare.NEQ, nft.interface_name("lo")),
            nft.immediate(Verdict.DROP),
        ),
        "CVE-2020-8558: nobody else reaches what listens on 127.0.0.1",
    )


_REFUSE_LOOPBACK = Rule(
    f"ip6 daddr ::1 goto {REFUSE}",
    (
        *nft.is_family(nft.NFPROTO_IPV6),
        nft.payload(Header.NETWORK, 24, 16),
        nft.compare(Compare.EQ, IPv6Address("::1").packed),
        nft.immediate(Verdict.GOTO, REFUSE),
    ),
    "::1 can't be routed: clients fall back to 127.0.0.1",
)

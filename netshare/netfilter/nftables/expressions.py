"""The nf_tables expressions that netshare's rules are made of, as netlink bytes.

Numbers and layouts are those of include/uapi/linux/netfilter/nf_tables.h; each function builds one expression of a
rule. Values travel between expressions in registers: `Register` counts them in 32-bit words, as concatenated keys
need it.
"""

import socket
import struct
from enum import IntEnum

from netshare.netfilter.nftables.wire import attribute, nested, text, u32, u64

EXPRESSION = 1  # NFTA_LIST_ELEM
_NAME, _DATA = 1, 2  # NFTA_EXPR_NAME, NFTA_EXPR_DATA
DATA_VALUE, DATA_VERDICT = 1, 2  # NFTA_DATA_VALUE, NFTA_DATA_VERDICT
VERDICT_CODE, VERDICT_CHAIN = 1, 2


class Verdict(IntEnum):
    """What becomes of a packet or of the way through the chains (NF_DROP, NF_ACCEPT and the NFT_* codes)."""

    DROP = 0
    ACCEPT = 1
    JUMP = -3
    GOTO = -4
    RETURN = -5


class Header(IntEnum):
    """Where a payload is loaded from (enum nft_payload_bases)."""

    NETWORK = 1
    TRANSPORT = 2


class Meta(IntEnum):
    """What the kernel knows of a packet besides its bytes (enum nft_meta_keys)."""

    MARK = 3
    IIFNAME = 6
    OIFNAME = 7
    NFPROTO = 15
    L4PROTO = 16


class Compare(IntEnum):
    """How two values are compared (enum nft_cmp_ops)."""

    EQ = 0
    NEQ = 1


VERDICT_REGISTER = 0


def register(word: int) -> int:
    """Number the 32-bit register: NFT_REG32_00 and up."""
    return 8 + word


def expression(name: str, *data: bytes) -> bytes:
    """Name an expression and its attributes."""
    return nested(EXPRESSION, text(_NAME, name), nested(_DATA, *data))


def value(payload: bytes) -> bytes:
    """Wrap constant bytes (struct nft_data)."""
    return attribute(DATA_VALUE, payload)


def verdict_data(verdict: Verdict, chain: str | None = None) -> bytes:
    """Wrap a verdict (struct nft_verdict)."""
    parts = [attribute(VERDICT_CODE, int(verdict).to_bytes(4, "big", signed=True))]
    if chain is not None:
        parts.append(text(VERDICT_CHAIN, chain))
    return nested(DATA_VERDICT, *parts)


def immediate(verdict: Verdict, chain: str | None = None) -> bytes:
    """Return a verdict: drop, accept, return, or jump or go to a chain."""
    return expression("immediate", u32(1, VERDICT_REGISTER), nested(2, verdict_data(verdict, chain)))


def payload(header: Header, offset: int, length: int, *, to: int = 0) -> bytes:
    """Load bytes of a header into a register word."""
    return expression("payload", u32(1, register(to)), u32(2, header), u32(3, offset), u32(4, length))


def meta(key: Meta, *, to: int = 0) -> bytes:
    """Load what the kernel knows of the packet."""
    return expression("meta", u32(2, key), u32(1, register(to)))


def compare(operation: Compare, payload: bytes, *, word: int = 0) -> bytes:
    """Go on only if a register compares with a constant."""
    return expression("cmp", u32(1, register(word)), u32(2, operation), nested(3, value(payload)))


def numgen_random(modulus: int, *, to: int) -> bytes:
    """Draw a number in 0..modulus-1 (NFT_NG_RANDOM); it lands in the register in the host's byte order."""
    return expression("numgen", u32(1, register(to)), u32(2, modulus), u32(3, 1), u32(4, 0))


def numgen_in_turn(modulus: int, *, to: int) -> bytes:
    """Count 0..modulus-1 over and over (NFT_NG_INCREMENTAL); the count is this expression's own."""
    return expression("numgen", u32(1, register(to)), u32(2, modulus), u32(3, 0), u32(4, 0))


def jhash(modulus: int, seed: int, length: int, *, word: int, to: int) -> bytes:
    """Hash ``length`` bytes of registers to 0..modulus-1 (NFT_HASH_JENKINS), alike on every load by its seed."""
    return expression(
        "hash",
        u32(1, register(word)),
        u32(2, register(to)),
        u32(3, length),
        u32(4, modulus),
        u32(5, seed),
        u32(7, 0),
    )


def lookup(set_name: str, *, into: int | None = None) -> bytes:
    """Look the registers from word 0 up in a set (``into`` None: match only) or a map."""
    destination = () if into is None else (u32(3, into),)
    return expression("lookup", text(1, set_name), u32(2, register(0)), *destination, u32(5, 0))


def dnat(family: int, *, address_word: int, port_word: int) -> bytes:
    """Rewrite the destination to the address and port in the registers.

    NF_NAT_RANGE_MAP_IPS and NF_NAT_RANGE_PROTO_SPECIFIED are implied by the attributes given.
    """
    return expression(
        "nat",
        u32(1, 1),  # NFT_NAT_DNAT
        u32(2, family),
        u32(3, register(address_word)),
        u32(5, register(port_word)),
    )


def masquerade() -> bytes:
    """Rewrite the source to the address of the interface the packet leaves by."""
    return expression("masq")


def reject_reset() -> bytes:
    """Answer with a TCP reset (NFT_REJECT_TCP_RST)."""
    return expression("reject", u32(1, 1), attribute(2, b"\0"))


def reject_unreachable() -> bytes:
    """Answer with port unreachable, ICMP or ICMPv6 (NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH)."""
    return expression("reject", u32(1, 2), attribute(2, b"\1"))


def fib_destination_type(*, to: int = 0) -> bytes:
    """Load the kind of address the destination is (NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR)."""
    return expression("fib", u32(3, 2), u32(2, 3), u32(1, register(to)))


def host_u32(number: int) -> bytes:
    """Pack a 32-bit number in the byte order of this machine, as the kernel keeps it in registers."""
    return struct.pack("=I", number)


def conntrack_mark_or(bits: int) -> list[bytes]:
    """Set bits of the flow's mark and leave the others (``ct mark set ct mark | BITS``)."""
    return [
        expression("ct", u32(2, 3), u32(1, register(0))),  # NFT_CT_MARK into the register
        bitwise(~bits & 0xFFFFFFFF, bits),
        expression("ct", u32(2, 3), u32(4, register(0))),  # and back from it
    ]


def packet_mark_or(bits: int) -> list[bytes]:
    """Set bits of the packet's mark and leave the others (``meta mark set meta mark | BITS``)."""
    return [
        meta(Meta.MARK),
        bitwise(~bits & 0xFFFFFFFF, bits),
        expression("meta", u32(2, Meta.MARK), u32(3, register(0))),
    ]


def conntrack_mark_is_set(bits: int) -> list[bytes]:
    """Go on only if all of these bits are in the flow's mark (``ct mark & BITS == BITS``)."""
    return [
        expression("ct", u32(2, 3), u32(1, register(0))),
        bitwise(bits, 0),
        compare(Compare.EQ, host_u32(bits)),
    ]


def conntrack_mark_is_clear(bits: int) -> list[bytes]:
    """Go on only if none of these bits is in the flow's mark (``ct mark & BITS == 0``)."""
    return [
        expression("ct", u32(2, 3), u32(1, register(0))),
        bitwise(bits, 0),
        compare(Compare.EQ, host_u32(0)),
    ]


def bitwise(mask: int, xor: int) -> bytes:
    """Mask a 32-bit register, then flip bits of it."""
    return expression(
        "bitwise",
        u32(1, register(0)),
        u32(2, register(0)),
        u32(3, 4),
        nested(4, value(host_u32(mask))),
        nested(5, value(host_u32(xor))),
    )


def is_family(family: int) -> list[bytes]:
    """Go on only for one address family; an ``inet`` chain sees both."""
    return [meta(Meta.NFPROTO), compare(Compare.EQ, bytes([family]))]


def is_protocol(protocol: int) -> list[bytes]:
    """Go on only for one transport protocol."""
    return [meta(Meta.L4PROTO), compare(Compare.EQ, bytes([protocol]))]


def interface_name(name: str) -> bytes:
    """Pad an interface's name as the kernel compares it (IFNAMSIZ)."""
    return name.encode().ljust(16, b"\0")


def counter(packets: int = 0) -> bytes:
    """Pack the body of a counter that starts at ``packets``."""
    return text(_NAME, "counter") + nested(_DATA, u64(1, 0), u64(2, packets))


NFPROTO_IPV4 = int(socket.AF_INET)
NFPROTO_IPV6 = int(socket.AF_INET6)
RTN_LOCAL = 2
"""The address type of the host's own addresses (include/uapi/linux/rtnetlink.h)."""


def read_host_u32(data: bytes) -> int:
    """Read what `host_u32` packed."""
    return int(struct.unpack_from("=I", data)[0])

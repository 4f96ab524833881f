"""What hostile input is made of: text that a terminal acts on, JSON that is nearly right, messages cut and bent."""

import copy
import json
import struct
from typing import Any

from hypothesis import strategies as st

from netshare.netfilter.nftables import expressions as nft

Json = Any
"""What JSON can say; hypothesis draws it, and nothing here looks into it."""

ESCAPES = (
    "\x1b[2J\x1b[31mweb\x1b[0m",
    "\x1b]0;title\x07",
    "web\r\nERROR forged line",
    "web\u202egpj.exe",
    "web\u2028line",
    "\x9b31m",
    "\0",
    "\ud800",
    '"; drop table inet netshare; #',
    "$(reboot)`reboot`;reboot",
    "%n%s{0}{x!r}",
    "../../../etc/shadow",
    "-j ACCEPT",
    "web\n[Service]\nExecStart=/bin/sh",
)
"""What moves cursors, forges lines, turns text around, or means something to nft, iptables, systemd or a shell."""

escapes = st.sampled_from(ESCAPES)
words = st.text(max_size=40) | escapes | st.text("0123456789abcdef:.,[]/=- _\x1b\n", max_size=40)
long_words = words | st.builds(lambda word, times: word * times, words, st.sampled_from((1, 1000, 100_000)))
numbers = st.integers(-2, 70_000) | st.sampled_from((2**31, 2**63, 2**64, -(2**70), 10**400))
scalars = st.none() | st.booleans() | numbers | st.floats() | long_words
anything = st.recursive(
    scalars, lambda inside: st.lists(inside, max_size=3) | st.dictionaries(words, inside, max_size=3), max_leaves=8
)


@st.composite
def bent(draw: st.DrawFn, sample: Json) -> Json:
    """Draw a document that is a sample but for some of its parts: gone, there twice, or of another kind."""
    document = [copy.deepcopy(sample)]
    for _ in range(draw(st.integers(0, 4))):
        parent: Json = document
        key: Json = 0
        while isinstance(parent[key], dict | list) and parent[key] and draw(st.integers(0, 5)):
            parent = parent[key]
            key = draw(st.sampled_from(sorted(parent)) if isinstance(parent, dict) else st.integers(0, len(parent) - 1))
        match draw(st.integers(0, 5)):
            case 0 if isinstance(parent, dict):
                del parent[key]
            case 1 if isinstance(parent, dict):
                parent[draw(words)] = parent[key]
            case 2 if isinstance(parent, list) and parent is not document:
                parent.append(copy.deepcopy(parent[key]))
            case _:
                parent[key] = draw(anything)
    return document[0]


@st.composite
def bent_json(draw: st.DrawFn, sample: Json) -> bytes:
    """Draw such a document as bytes, now and then cut short, or with some bytes of another kind."""
    content = json.dumps(draw(bent(sample))).encode("utf-8", "surrogatepass")
    return draw(damaged(content))


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw bytes that are these but for some: cut off, doubled, or turned into others."""
    data = bytearray(content)
    for _ in range(draw(st.integers(0, 3))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.integers(0, 4)):
            case 0:
                del data[at:]
            case 1:
                del data[at : at + draw(st.integers(1, 16))]
            case 2:
                data[at:at] = draw(st.binary(max_size=16))
            case 3:
                data[at:at] = data[at : at + 32]
            case _:
                data[at] = draw(st.integers(0, 255))
    return bytes(data)


@st.composite
def attributes(draw: st.DrawFn, depth: int = 3) -> bytes:
    """Draw netlink attributes in one another, whose lengths are now and then wrong."""
    packed = b""
    for _ in range(draw(st.integers(0, 4))):
        inside = draw(attributes(depth - 1)) if depth and draw(st.booleans()) else draw(st.binary(max_size=24))
        length = draw(st.sampled_from((4 + len(inside),) * 6 + (0, 3, 4, 0xFFFF, 5 + len(inside))))
        kind = draw(st.integers(0, 30)) | draw(st.sampled_from((0, 0x8000)))
        packed += struct.pack("=HH", length, kind) + inside + bytes(-len(inside) % 4)
    return packed


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Draw a datagram of netlink messages, whose headers are now and then wrong."""
    packed = b""
    for _ in range(draw(st.integers(0, 4))):
        body = struct.pack("=BBH", *(draw(st.integers(0, 255)) for _ in range(2)), 0) + draw(attributes())
        length = draw(st.sampled_from((16 + len(body),) * 6 + (0, 15, 16, 0xFFFF, 1 << 31)))
        kind, sequence = draw(st.sampled_from((2, 3, 0xA00, 0xA0C, 0x100))), draw(st.integers(0, 5))
        packed += struct.pack("=IHHII", length, kind, draw(st.integers(0, 0x3FF)), sequence, 0) + body
    return draw(damaged(packed))


@st.composite
def expressions(draw: st.DrawFn) -> bytes:
    """Draw the expressions of a rule that may lead to chains called by numbers."""
    packed = b""
    for _ in range(draw(st.integers(0, 4))):
        to = str(draw(st.integers(0, 5)))
        packed += draw(
            st.sampled_from(
                (
                    nft.immediate(nft.Verdict.GOTO, to),
                    nft.immediate(nft.Verdict.JUMP, to),
                    nft.meta(nft.Meta.MARK),
                    nft.compare(nft.Compare.EQ, b"\0\0\0\1"),
                    nft.compare(nft.Compare.EQ, b""),
                )
            )
            | damaged(nft.immediate(nft.Verdict.DROP))
            | attributes()
        )
    return packed

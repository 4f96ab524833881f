"""netshare's mark on its packets, for firewalls that ask for the packet's mark and not for the flow's.

Docker's nftables backend is one: its ``bridge-accept-fwmark`` is about the packet's. A chain that copies the one to the
other is a hook more that every forwarded packet of the host comes by, so it is there only where a chain of others lets
netshare's flows by for it. It is in a table of its own: whichever driver programs the services, and whether theirs is
built anew or not, it stays.

Not in prerouting, where a packet's mark may choose its route.
"""

from collections.abc import Iterator, Sequence

from netshare.netfilter.netlink import F_APPEND, F_CREATE, Message, Netlink
from netshare.netfilter.nftables import expressions as nft
from netshare.netfilter.nftables import userdata
from netshare.netfilter.nftables.transaction import (
    ACCEPT,
    DELETE_TABLE,
    NEW_CHAIN,
    NEW_RULE,
    NEW_TABLE,
    NFPROTO_INET,
)
from netshare.netfilter.nftables.wire import attribute, nested, text, u32
from netshare.netfilter.surroundings import nf_tables
from netshare.netfilter.surroundings.look import PACKET_MARKS
from netshare.netfilter.surroundings.nf_tables import Chain, Scope

CHAIN = "forward"
COMMENT = "netshare: for firewalls that ask for the packet's mark"
_TABLE_COMMENT = "made by netshare, removed by: netshare reset"
_HOOK, _PRIORITY = 2, -1  # NF_INET_FORWARD, before Docker's and everybody's filter


def settle(netlink: Netlink, chains: Sequence[Chain], mark: int, *, needed: bool) -> bool:
    """Make the table or take it away; whether anything had to be done."""
    is_right = is_whole(netlink, chains) if needed else not _own(chains)
    if not is_right:
        netlink.commit([*_make(mark)] if needed else [_message(DELETE_TABLE, 0, b"")])
    return not is_right


def is_whole(netlink: Netlink, chains: Sequence[Chain]) -> bool:
    """Whether the chain is there as it was made; a rule that another hand replaced has lost its comment."""
    hooked = [(chain.name, chain.hook, chain.priority, chain.drops) for chain in _own(chains)]
    if hooked != [(CHAIN, _HOOK, _PRIORITY, False)]:
        return False
    return [rule.comment for rule in nf_tables.rules(netlink, Scope.INET, PACKET_MARKS, CHAIN)] == [COMMENT]


def _own(chains: Sequence[Chain]) -> list[Chain]:
    return [chain for chain in chains if (chain.scope, chain.table) == (Scope.INET, PACKET_MARKS)]


def _make(mark: int) -> Iterator[Message]:
    yield _message(NEW_TABLE, F_CREATE, b"")  # else there may be none to delete
    yield _message(DELETE_TABLE, 0, b"")
    yield _message(NEW_TABLE, F_CREATE, attribute(6, userdata.comment(_TABLE_COMMENT)))
    priority = attribute(2, _PRIORITY.to_bytes(4, "big", signed=True))
    hook = nested(4, u32(1, _HOOK), priority) + u32(5, ACCEPT) + text(7, "filter")
    yield _message(NEW_CHAIN, F_CREATE, text(3, CHAIN) + hook)
    copying = nested(4, *nft.conntrack_mark_is_set(mark), *nft.packet_mark_or(mark))
    yield _message(NEW_RULE, F_CREATE | F_APPEND, text(2, CHAIN) + copying + attribute(7, userdata.comment(COMMENT)))


def _message(kind: int, flags: int, attributes: bytes) -> Message:
    return Message(kind, flags, NFPROTO_INET, text(1, PACKET_MARKS) + attributes, f"table inet {PACKET_MARKS}")

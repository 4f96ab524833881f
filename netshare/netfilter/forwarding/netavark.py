"""Past the isolated networks of Podman's nftables driver: one accepting rule in its own forward chain.

netavark drops what comes from one bridge to another where networks are isolated, published ports included before 2.1.
Its chain is native nftables and its rules are only ever appended behind each other, so the rule goes to the head.
Where no network is isolated, nothing is dropped and nothing is needed.
"""

from collections.abc import Sequence

from netshare.netfilter.netlink import F_CREATE, Message, Netlink
from netshare.netfilter.nftables import expressions as nft
from netshare.netfilter.nftables import userdata
from netshare.netfilter.nftables.expressions import Verdict
from netshare.netfilter.nftables.transaction import NEW_RULE
from netshare.netfilter.nftables.wire import attribute, nested, text, u64
from netshare.netfilter.surroundings import nf_tables
from netshare.netfilter.surroundings.look import NETAVARK
from netshare.netfilter.surroundings.nf_tables import Chain, Rule, Scope

CHAIN = "FORWARD"
COMMENT = "netshare: connections it balances"
_ISOLATION = "NETAVARK-ISOLATION-1"
_DELETE_RULE = 8  # NFT_MSG_DELRULE


def settle(netlink: Netlink, chains: Sequence[Chain], mark: int, *, needed: bool) -> bool:
    """Put the rule at the head of netavark's chain or take it away; whether anything had to be done."""
    rules_in = {chain.name: chain.uses for chain in chains if (chain.scope, chain.table) == (Scope.INET, NETAVARK)}
    if CHAIN not in rules_in:
        return False
    rules = nf_tables.rules(netlink, Scope.INET, NETAVARK, CHAIN)
    isolated = (
        bool(nf_tables.packed_rules(netlink, Scope.INET, NETAVARK, _ISOLATION)) if _ISOLATION in rules_in else False
    )
    changes = rewrite(rules, mark, needed=needed and isolated)
    netlink.commit(changes)
    return bool(changes)


def rewrite(rules: Sequence[Rule], mark: int, *, needed: bool) -> list[Message]:
    """Work out the changes that leave exactly one rule of netshare's, ahead of every jump, or none."""
    ours = [rule for rule in rules if rule.comment == COMMENT]
    first_jump = next((place for place, rule in enumerate(rules) if _jumps(rule)), len(rules))
    if needed and len(ours) == 1 and rules.index(ours[0]) < first_jump:
        return []
    deletions = [_message(_DELETE_RULE, 0, u64(3, rule.handle)) for rule in ours]
    return [*deletions, _message(NEW_RULE, F_CREATE, _accept(mark))] if needed else deletions


def _jumps(rule: Rule) -> bool:
    return any(expression.kind == "immediate" for expression in rule.expressions) and rule.comment != COMMENT


def _accept(mark: int) -> bytes:
    accepting = nested(4, *nft.conntrack_mark_is_set(mark), nft.immediate(Verdict.ACCEPT))
    return accepting + attribute(7, userdata.comment(COMMENT))


def _message(kind: int, flags: int, attributes: bytes) -> Message:
    place = text(1, NETAVARK) + text(2, CHAIN)
    return Message(kind, flags, Scope.INET.value, place + attributes, f"chain inet {NETAVARK} {CHAIN}")

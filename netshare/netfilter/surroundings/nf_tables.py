"""The chains and rules of nf_tables, whoever made them, as the kernel lists them."""

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from netshare.core.model import Family
from netshare.errors import NetfilterError
from netshare.netfilter.netlink import Netlink
from netshare.netfilter.nftables import userdata
from netshare.netfilter.nftables.transaction import GET_CHAIN, GET_GENERATION, GET_RULE
from netshare.netfilter.nftables.wire import number, string, table_of, text, walk

_HOOK_FORWARD = 2  # NF_INET_FORWARD
_EXPRESSIONS, _COMMENT = 4, 7  # NFTA_RULE_EXPRESSIONS, NFTA_RULE_USERDATA
_DROP = 0  # NF_DROP


class Scope(Enum):
    """The families of tables that forwarded packets of IPv4 or IPv6 come by; the value is the kernel's number."""

    IP = 2
    IP6 = 10
    INET = 1

    def __str__(self) -> str:
        """``ip``, ``ip6``, ``inet``."""
        return self.name.lower()

    @property
    def families(self) -> tuple[Family, ...]:
        """The families whose packets such a table sees."""
        return {Scope.IP: (Family.IP,), Scope.IP6: (Family.IP6,), Scope.INET: (Family.IP, Family.IP6)}[self]


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain; ``uses`` counts its rules and the jumps to it. Only one that the kernel calls itself has a hook."""

    scope: Scope
    table: str
    name: str
    handle: int
    uses: int
    hook: int | None = None
    priority: int = 0
    drops: bool = False
    """Whether its policy is to drop."""

    @property
    def is_forward(self) -> bool:
        """Whether the kernel calls it for forwarded packets."""
        return self.hook == _HOOK_FORWARD

    def __str__(self) -> str:
        """``inet firewall forward``, as nft writes it."""
        return f"{self.scope} {self.table} {self.name}"


@dataclass(frozen=True, slots=True)
class Expression:
    """One step of a rule: its kind and its attributes."""

    kind: str
    data: dict[int, memoryview]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. A table's handles begin anew with the table, and a rule that replaces another may have its handle."""

    chain: str
    handle: int
    comment: str
    expressions: tuple[Expression, ...]


def generation(netlink: Netlink) -> int | None:
    """Return the number that the kernel raises with every commit, by whomever, in this network namespace.

    ``None`` where this kernel has no nf_tables: nfnetlink then knows no such subsystem (nfnetlink_rcv_msg).
    """
    try:
        answer = netlink.get(GET_GENERATION, 0, about="the generation of nf_tables")
    except NetfilterError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EINVAL:
            return None
        raise
    return number(table_of(answer or b"").get(1))


def chains(netlink: Netlink) -> Iterator[Chain]:
    """Read every chain that IPv4 or IPv6 packets can come to."""
    for scope in Scope:
        for dumped in netlink.dump(GET_CHAIN, scope.value, about=f"chains of {scope} tables"):
            yield _chain(scope, table_of(dumped))


def _chain(scope: Scope, chain: dict[int, memoryview]) -> Chain:
    table, name, handle, uses = string(chain.get(1)), string(chain.get(3)), number(chain.get(2)), number(chain.get(6))
    if 4 not in chain:  # noqa: PLR2004 (NFTA_CHAIN_HOOK)
        return Chain(scope, table, name, handle, uses)
    hook = table_of(chain[4])
    priority = int.from_bytes(hook.get(2, b""), "big", signed=True)
    return Chain(scope, table, name, handle, uses, number(hook.get(1)), priority, number(chain.get(5), 1) == _DROP)


def packed_rules(netlink: Netlink, scope: Scope, table: str, chain: str) -> tuple[bytes, ...]:
    """Give the rules of a chain, in order, but for what they have counted: cheap to compare with what was there."""
    return tuple(
        b"".join(
            bytes(element)
            for _, element in walk(rule.get(_EXPRESSIONS, b""))
            if string(table_of(element).get(1)) != "counter"
        )
        for rule in _rules(netlink, scope, table, chain)
    )


def rules(netlink: Netlink, scope: Scope, table: str, chain: str) -> tuple[Rule, ...]:
    """Read the rules of a chain, in order."""
    return tuple(
        Rule(
            string(rule.get(2)),
            number(rule.get(3)),
            userdata.read_comment(rule.get(_COMMENT)),
            tuple(expressions(rule.get(_EXPRESSIONS))),
        )
        for rule in _rules(netlink, scope, table, chain)
    )


def _rules(netlink: Netlink, scope: Scope, table: str, chain: str) -> Iterator[dict[int, memoryview]]:
    wanted = text(1, table) + text(2, chain)
    for dumped in netlink.dump(GET_RULE, scope.value, wanted, about=f"rules of {scope} {table} {chain}"):
        rule = table_of(dumped)
        if (string(rule.get(1)), string(rule.get(2))) == (table, chain):  # older kernels dump them all
            yield rule


def expressions(packed: memoryview | None) -> Iterator[Expression]:
    """Take the expressions of a rule apart."""
    for _, element in walk(packed or b""):
        expression = table_of(element)
        yield Expression(string(expression.get(1)), table_of(expression.get(2, b"")))

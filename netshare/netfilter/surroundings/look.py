"""Looking at everything of others' that decides about forwarded packets, at one moment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from netshare.core.model import Family
from netshare.errors import NetfilterError
from netshare.netfilter.netlink import SUBSYSTEM_NFTABLES, Netlink
from netshare.netfilter.nftables import chains as ours
from netshare.netfilter.surroundings import nf_tables, verdicts, xtables
from netshare.netfilter.surroundings.nf_tables import Chain, Rule, Scope
from netshare.netfilter.surroundings.verdicts import Refusal
from netshare.netfilter.surroundings.xtables import DOCKER_USER, FORWARD, TABLE, FilterTable, Variant

FIREWALLD, DOCKER_BRIDGES, NETAVARK = "firewalld", "docker-bridges", "netavark"
"""Tables of nf_tables, by those who make them."""
PACKET_MARKS = "netshare-marks"
"""The table of netshare's own that has to do with other firewalls alone: see `forwarding.packet_marks`."""

_DOCKER_INTO_BRIDGE = "filter-forward-in__"  # moby daemon/libnetwork/drivers/bridge/internal/nftabler/network.go
_FORWARDING = {Family.IP: "ipv4/ip_forward", Family.IP6: "ipv6/conf/all/forwarding"}

Signature = tuple[tuple[object, ...] | None, frozenset[Chain]] | None
_SCOPE = {Family.IP: Scope.IP, Family.IP6: Scope.IP6}


@dataclass(frozen=True, slots=True)
class ForwardChain:
    """A chain of nf_tables that forwarded packets come by, and why it drops netshare's flows of one family, if so.

    Docker's nftables backend has a chain for each bridge, behind a map: these count as chains of their own.
    ``by_packet_mark`` says that it is their packets' mark which makes the difference.
    """

    family: Family
    chain: Chain
    refusal: Refusal | None
    by_packet_mark: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The other firewalls of this host, and all chains of nf_tables.

    ``unlisted`` are iptables' tables that their tool could not list, with its reason; where they are in nf_tables, what
    is in them is among ``forward``. ``forwards`` are the families whose packets this kernel forwards at all.
    """

    chains: tuple[Chain, ...] = ()
    tables: tuple[FilterTable, ...] = ()
    unlisted: tuple[tuple[Variant, str], ...] = ()
    forward: tuple[ForwardChain, ...] = ()
    forwards: frozenset[Family] = field(default_factory=lambda: frozenset(Family))

    def table(self, variant: Variant) -> FilterTable | None:
        """Give one of iptables' tables."""
        return next((table for table in self.tables if table.variant == variant), None)

    @property
    def asks_for_packet_marks(self) -> bool:
        """Whether some chain lets netshare's flows by for their packets' mark, and not without it."""
        return any(each.by_packet_mark for each in self.forward)


class Lookout:
    """Looks as often as it is asked, and lists again only what may have changed since.

    Nothing is changed by it, and no legacy table comes to be. It belongs to the network namespace of the thread that
    uses it first.
    """

    def __init__(self, mark: int = ours.DEFAULT_MARK) -> None:
        """``mark`` is the bit of a flow's marks that says it is netshare's."""
        self._mark = mark
        self._netlink: Netlink | None = None
        self._generation: int | None = None
        self._chains: tuple[Chain, ...] = ()
        self._tables: dict[Variant, tuple[Signature, FilterTable | str]] = {}
        self._judged: tuple[frozenset[Chain], tuple[ForwardChain, ...]] = frozenset(), ()

    def netlink(self) -> Netlink:
        """Give the socket it looks through; it stays open (see `NftablesDriver`)."""
        if self._netlink is None:
            self._netlink = Netlink(SUBSYSTEM_NFTABLES)
        return self._netlink

    def close(self) -> None:
        """Close the socket; the next use opens another."""
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None

    def look(self) -> Surroundings:
        """Look at everything.

        The kernel counts the commits to nf_tables, so what is in there is looked at only after one. Of a legacy table
        it tells nothing: such a table is listed every time. A kernel without nf_tables has no more than these.

        Raises:
            NotPermittedError: needs CAP_NET_ADMIN.
            NetfilterError: the kernel answered something else.

        """
        generation = nf_tables.generation(self.netlink())
        is_new = generation is None or generation != self._generation
        if is_new:
            self._chains = () if generation is None else tuple(nf_tables.chains(self.netlink()))
        variants = tuple(present(self._chains))
        for variant in variants:
            if is_new or variant.is_legacy or variant not in self._tables:
                self._list(variant)
        self._tables = {variant: self._tables[variant] for variant in variants}
        found = {variant: table for variant, (_, table) in self._tables.items()}
        if is_new:
            self._judge({_SCOPE[v.family] for v, t in found.items() if not v.is_legacy and isinstance(t, FilterTable)})
        self._generation = generation
        return Surroundings(
            self._chains,
            tuple(table for table in found.values() if isinstance(table, FilterTable)),
            tuple((variant, table) for variant, table in found.items() if isinstance(table, str)),
            self._judged[1],
            forwarding(),
        )

    def doubt(self) -> None:
        """Look at everything anew the next time."""
        self._generation = None
        self._tables.clear()

    def _list(self, variant: Variant) -> None:
        """List a table, unless its signature shows that nothing has changed in it.

        The signature is taken before: what changes while the table is being listed must not go unseen.
        """
        content = None if variant.is_legacy else self._content(variant)
        if variant in self._tables:
            signature, table = self._tables[variant]
            if isinstance(table, FilterTable) and content and signature == (content, self._uses(table)):
                return
        try:
            listed = xtables.listing(variant)
        except NetfilterError as error:
            self._tables[variant] = None, error.message
        else:
            self._tables[variant] = (content, self._uses(listed)), listed

    def _content(self, variant: Variant) -> tuple[object, ...]:
        """Give what is in the chains that matter most, in the kernel's own form: a tool takes far longer to tell."""
        scope, netlink = _SCOPE[variant.family], self.netlink()
        return tuple(nf_tables.packed_rules(netlink, scope, TABLE, chain) for chain in (FORWARD, DOCKER_USER))

    def _uses(self, table: FilterTable) -> frozenset[Chain]:
        """Give the chains that forwarded packets can come to; of those further down, the number of rules must do."""
        scope, concerned = _SCOPE[table.variant.family], table.reachable(FORWARD) | {DOCKER_USER}
        return frozenset(c for c in self._chains if (c.scope, c.table) == (scope, TABLE) and c.name in concerned)

    def _judge(self, listed: set[Scope]) -> None:
        """Judge the chains that are not in a table which iptables has listed."""
        concerned = frozenset(c for c in self._chains if not (c.table == TABLE and c.scope in listed))
        if concerned != self._judged[0]:
            self._judged = concerned, tuple(judge(self.netlink(), sorted(concerned, key=str), self._mark))


def present(chains: Sequence[Chain]) -> Iterator[Variant]:
    """Name the variants of iptables that have a filter table here."""
    for family in Family:
        if any(is_of_iptables(chain, family) for chain in chains):
            yield Variant(family, is_legacy=False)
        if xtables.has_legacy_table(family):
            yield Variant(family, is_legacy=True)


def is_of_iptables(chain: Chain, family: Family) -> bool:
    """Whether this is the FORWARD chain of ``iptables-nft``."""
    return chain.is_forward and (chain.scope, chain.table, chain.name) == (_SCOPE[family], TABLE, FORWARD)


def judge(netlink: Netlink, chains: Sequence[Chain], mark: int) -> Iterator[ForwardChain]:
    """Tell of every forward chain but netshare's whether it lets netshare's flows by."""

    @cache
    def rules(scope: Scope, table: str, name: str) -> tuple[Rule, ...]:
        return nf_tables.rules(netlink, scope, table, name)

    for chain in chains:
        is_bridge = chain.table == DOCKER_BRIDGES and chain.name.startswith(_DOCKER_INTO_BRIDGE)
        is_ours = chain.scope is Scope.INET and chain.table in (ours.TABLE, PACKET_MARKS)
        if is_ours or not (chain.is_forward or is_bridge):
            continue
        of_chain = partial(rules, chain.scope, chain.table)
        for family in chain.scope.families:
            plain, marked = (verdicts.refusal(chain, of_chain, family, mark, packet_mark=one) for one in (0, mark))
            helps = plain is not None and (marked is None or (plain.certain and not marked.certain))
            yield ForwardChain(family, chain, marked if helps else plain, by_packet_mark=helps)


def forwarding() -> frozenset[Family]:
    """Tell which families' packets the kernel forwards, in the network namespace of the calling thread."""
    return frozenset(family for family, name in _FORWARDING.items() if _is_on(Path("/proc/sys/net", name)))


def _is_on(setting: Path) -> bool:
    return setting.is_file() and setting.read_text(encoding="ascii").strip() != "0"

"""The filter tables of iptables: up to four of them, each listed in the words of the tool that manages it.

Whether a table is there is asked of the kernel and not of the tool, because merely listing a legacy table creates it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from netshare.core.model import Family
from netshare.netfilter import command
from netshare.netfilter.rule_words import Words, split

TABLE = "filter"
FORWARD = "FORWARD"
DOCKER_USER = "DOCKER-USER"


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the up to four places an iptables rule can be: a family, in nf_tables or in legacy xtables."""

    family: Family
    is_legacy: bool

    @property
    def program(self) -> str:
        """The tool that manages it."""
        name = "iptables" if self.family is Family.IP else "ip6tables"
        return f"{name}-{'legacy' if self.is_legacy else 'nft'}"


@dataclass(frozen=True, slots=True)
class FilterTable:
    """A filter table: the policies of its own chains, and the rules of every chain, in order."""

    variant: Variant
    policies: Mapping[str, str]
    chains: Mapping[str, tuple[Words, ...]]

    @property
    def forward_policy(self) -> str:
        """What becomes of forwarded packets that no rule decides about."""
        return self.policies.get(FORWARD, "ACCEPT")

    def rules(self, chain: str) -> tuple[Words, ...]:
        """Give the rules of a chain; none where there is no such chain."""
        return self.chains.get(chain, ())

    def reachable(self, chain: str) -> frozenset[str]:
        """Name the chains that a packet in this one can come to, itself included."""
        found: set[str] = set()
        ahead = [chain]
        while ahead:
            name = ahead.pop()
            if name not in found and name in self.chains:
                found.add(name)
                ahead += [goes_to for words in self.chains[name] if (goes_to := target(words)) is not None]
        return frozenset(found)


def target(words: Words) -> str | None:
    """Tell what a rule does: ACCEPT, DROP, a chain's name; ``None`` for one that only counts."""
    for option in ("-j", "-g"):
        if option in words[:-1]:
            return words[words.index(option) + 1]
    return None


def has_legacy_table(family: Family) -> bool:
    """Whether there is a legacy filter table in the network namespace of the calling thread."""
    names = Path(f"/proc/thread-self/net/{family}_tables_names")
    return names.is_file() and TABLE in names.read_text().split()


def listing(variant: Variant) -> FilterTable:
    """List a filter table that is known to be there.

    Raises:
        NetfilterError, NotPermittedError: the tool is missing, or refuses (as it does where native rules are mixed in).

    """
    return parse(variant, command.run(variant.program, "-w", "5", "-S").splitlines())


def parse(variant: Variant, lines: Iterable[str]) -> FilterTable:
    """Read what ``iptables -S`` prints."""
    policies: dict[str, str] = {}
    chains: dict[str, list[Words]] = {}
    for words in (split(line) for line in lines if line.startswith("-")):
        match words:
            case ("-P", chain, policy, *_):
                policies[chain] = policy
                chains.setdefault(chain, [])
            case ("-N", chain):
                chains.setdefault(chain, [])
            case ("-A", chain, *_):
                chains.setdefault(chain, []).append(words)
            case _:
                continue
    return FilterTable(
        variant,
        MappingProxyType(policies),
        MappingProxyType({name: tuple(rules) for name, rules in chains.items()}),
    )

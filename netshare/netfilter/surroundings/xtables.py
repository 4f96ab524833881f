"""The filter tables of iptables: up to four of them, each listed in the words of the tool that manages it.

Whether a table is there is asked of the kernel and not of the tool, because merely listing a legacy table creates it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from netshare.core.model import Family
from netshare.netfilter import command

TABLE = "filter"
FORWARD = "FORWARD"
DOCKER_USER = "DOCKER-USER"

_WORD = re.compile(r'"((?:[^"\\]|\\.)+)"|(\S+)')
_ESCAPED = re.compile(r"\\(.)")

Words = tuple[str, ...]
"""A rule as ``iptables -S`` lists it, from ``-A CHAIN`` on."""


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
    for words in _split(lines):
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


def _split(lines: Iterable[str]) -> Iterator[Words]:
    """Take lines apart; only double quotes quote, and in them a backslash (xtables_save_string)."""
    for line in lines:
        if line.startswith("-"):
            yield tuple(
                _ESCAPED.sub(r"\1", quoted) if quoted else plain.replace('""', "")
                for quoted, plain in _WORD.findall(line)
            )

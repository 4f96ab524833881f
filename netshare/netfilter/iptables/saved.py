"""What ``iptables-save -c`` prints, as netshare's part of each table, and what its rules have counted.

Lines of others' are passed over unread: there may be thousands of them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from netshare.netfilter.iptables.names import PREFIX
from netshare.netfilter.iptables.tables import NAT, Table, Tables
from netshare.netfilter.rule_words import Words, split

_COUNTED_RULE = re.compile(r"\[(\d+):\d+\] -A (\S+) ?(.*)")


@dataclass(frozen=True, slots=True)
class Saved:
    """The tables of one family; ``counts`` are the packets of each chain's last rule, in the nat table."""

    tables: Tables = field(default_factory=lambda: MappingProxyType({}))
    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


class Reader:
    """Reads one family's tables; what has not changed since the last time is not taken apart again."""

    def __init__(self) -> None:
        """Start knowing nothing."""
        self._body: list[tuple[str, str]] = []
        self._tables: Tables = {}
        self._rules: dict[str, Words] = {}

    def read(self, text: str) -> Saved:
        """Take the text apart."""
        body: list[tuple[str, str]] = []
        counts: dict[str, int] = {}
        for table, line in _own_lines(text):
            found = _COUNTED_RULE.fullmatch(line)
            if found is None:
                body.append((table, line.partition(" ")[0]))
                continue
            packets, chain, rule = found.groups()
            body.append((table, f"-A {chain} {rule}"))
            if table == NAT:
                counts[chain] = int(packets)
        if body != self._body:
            rules = {line: self._rules.get(line) or split(line) for _, line in body}
            self._tables, self._body, self._rules = parse(body, rules), body, rules
        return Saved(self._tables, counts)


def parse(lines: Iterable[tuple[str, str]], rules: Mapping[str, Words]) -> Tables:
    """Make tables of lines, each with the name of its table: ``:CHAIN`` and ``-A CHAIN RULE``, given word by word."""
    chains: dict[str, dict[str, list[Words]]] = {}
    hooks: dict[str, list[tuple[str, Words]]] = {}
    for table, line in lines:
        own = chains.setdefault(table, {})
        if line.startswith(":"):
            own[line[1:]] = []
            continue
        if len(rules[line]) < 2:  # noqa: PLR2004 (cut short: what is missing is seen by comparing)
            continue
        _, chain, *rule = rules[line]
        if chain in own:
            own[chain].append(tuple(rule))
        else:
            hooks.setdefault(table, []).append((chain, tuple(rule)))
    return {
        table: Table({name: tuple(those) for name, those in own.items()}, tuple(hooks.get(table, ())))
        for table, own in chains.items()
    }


def _own_lines(text: str) -> Iterator[tuple[str, str]]:
    """Give the lines that are about netshare's chains, and the table each is in."""
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif PREFIX in line and (line.startswith(f":{PREFIX}") or _is_ours(line)):
            yield table, line


def _is_ours(line: str) -> bool:
    """Whether a rule is in a chain of netshare's, or leads there; a comment of others' may well name one."""
    _, _, rule = line.partition(" -A ")
    if not rule:
        return False
    words = rule.split()
    return bool(words) and (
        words[0].startswith(PREFIX) or (words[-2:-1] in (["-j"], ["-g"]) and words[-1].startswith(PREFIX))
    )

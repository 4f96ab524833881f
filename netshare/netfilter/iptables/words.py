"""A ruleset as one file that ``iptables-restore`` and ``ip6tables-restore`` load alike.

A rule of one family says so (``-4``, ``-6``), and the other's tool passes it over; chains are declared for both.
"""

from netshare.core.model import Family
from netshare.core.ruleset import Ruleset
from netshare.netfilter.iptables.script import script
from netshare.netfilter.iptables.tables import tables

_ONLY = {Family.IP: "-4", Family.IP6: "-6"}


def render(ruleset: Ruleset, mark: int) -> str:
    """Write all tables down, as ``iptables-restore --noflush`` loads them where nothing of netshare's is."""
    sections: dict[str, tuple[dict[str, None], list[str]]] = {}
    for family in Family:
        table = ""
        for line in script({}, tables(ruleset, family, mark)).splitlines():
            if line.startswith("*"):
                table = line
            chains, rules = sections.setdefault(table, ({}, []))
            if line.startswith(":"):
                chains[line] = None
            elif line.startswith("-"):
                command, chain, rule = line.split(" ", 2)
                rules.append(f"{command} {chain} {_ONLY[family]} {rule}")
    return "".join("\n".join((table, *chains, *rules, "COMMIT", "")) for table, (chains, rules) in sections.items())

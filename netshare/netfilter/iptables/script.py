"""What ``iptables-restore --noflush`` must be given to get from one state of netshare's part of the tables to another.

Each table is committed as a whole by the kernel, one after the other. Chains that stay as they are are not mentioned,
and keep what they have counted.
"""

from collections.abc import Iterator

from netshare.errors import NetfilterError
from netshare.netfilter.iptables.tables import FILTER, MANGLE, NAT, RAW, Table, Tables
from netshare.netfilter.rule_words import Words, join

_ORDER = (RAW, MANGLE, FILTER, NAT)
"""The nat table is the last: what it sends to replicas, or has refused, the others must be ready for. Nothing is wanted
in mangle, but what another version has put there goes."""


def script(held: Tables, wanted: Tables, *, anew: bool = False) -> str:
    """Write the script; empty where nothing is to be done. ``anew`` writes even what is there already."""
    return "".join(_table(name, held.get(name, Table()), wanted.get(name, Table()), anew=anew) for name in _ORDER)


def _table(name: str, held: Table, wanted: Table, *, anew: bool) -> str:
    if held == wanted and not (anew and wanted.chains):
        return ""
    return "\n".join((f"*{name}", *_lines(held, wanted, anew=anew), "COMMIT", ""))


def _lines(held: Table, wanted: Table, *, anew: bool) -> Iterator[str]:
    written = {chain: rules for chain, rules in wanted.chains.items() if anew or held.chains.get(chain) != rules}
    removed = [chain for chain in held.chains if chain not in wanted.chains]
    for chain in (*written, *removed):
        yield f":{chain} - [0:0]"  # makes it, or empties it
    if anew or held.hooks != wanted.hooks:
        yield from (_line("-D", chain, words) for chain, words in held.hooks)
    for chain, rules in written.items():
        yield from (_line("-A", chain, words) for words in rules)
    if anew or held.hooks != wanted.hooks:
        yield from (_line("-I", chain, words) for chain, words in wanted.hooks)
    yield from (f"-X {chain}" for chain in removed)


def _line(command: str, chain: str, words: Words) -> str:
    line = f"{command} {chain} {join(words)}"
    if not line.isprintable():  # the end of a line can't be quoted: what follows would be a line of its own
        raise NetfilterError(f"iptables can't be given this rule: {line!a}")
    return line

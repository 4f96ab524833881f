"""A search tree of chains over ports, so that a new connection is not compared with every service there is.

A chain has at most `FANOUT` rules: either one for each listener, or one for each sixteenth of the range of ports that
has listeners. A few services are one flat chain; of thousands, on any ports, none is more than four chains deep. Only
what cannot be told apart by its port, listeners on one port of many addresses, makes a chain longer.
"""

from collections.abc import Callable, Mapping, Sequence

from netshare.netfilter.rule_words import Words

FANOUT = 16
_ALL = range(1 << 16)


def chains(
    by_port: Mapping[int, Sequence[Words]],
    name: Callable[[range], str],
    descend: Callable[[range], Words],
) -> dict[str, tuple[Words, ...]]:
    """Arrange the rules of every port in chains, the first of which is the root's.

    ``name`` names the chain of a range of ports, ``descend`` writes the rule that leads there.
    """
    found: dict[str, tuple[Words, ...]] = {}

    def arrange(here: range, ports: Sequence[int]) -> None:
        own = name(here)
        found[own] = ()
        rules = [rule for port in ports for rule in by_port[port]]
        if len(rules) > FANOUT and len(ports) > 1:
            below = _parts(here, ports)
            rules = [descend(part) for part, _ in below]
            for part, those in below:
                arrange(part, those)
        found[own] = tuple(rules)

    arrange(_ALL, sorted(by_port))
    return found


def _parts(here: range, ports: Sequence[int]) -> list[tuple[range, list[int]]]:
    """Cut a range into sixteen, and again where one of them has all the ports."""
    while True:
        size = len(here) // FANOUT
        cut = [range(first, first + size) for first in range(here.start, here.stop, size)]
        below = [(part, those) for part in cut if (those := [port for port in ports if port in part])]
        if len(below) > 1:
            return below
        here = below[0][0]

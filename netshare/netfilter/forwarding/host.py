"""Keeping netshare's rules in the places where this host needs them, and nowhere else."""

import time
from collections.abc import Callable, Sequence

from netshare.core.obstacle import Obstacle
from netshare.errors import NetfilterError
from netshare.netfilter import command
from netshare.netfilter.forwarding import netavark, packet_marks, places
from netshare.netfilter.forwarding.neighbours import neighbours
from netshare.netfilter.forwarding.obstacles import obstacles
from netshare.netfilter.nftables.chains import DEFAULT_MARK
from netshare.netfilter.rule_words import join
from netshare.netfilter.surroundings.look import PACKET_MARKS, Lookout, Surroundings
from netshare.netfilter.surroundings.xtables import TABLE, FilterTable

_PAUSES = (0.0, 0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Others may change a chain between a look at it and a change of it, and dockerd, ufw and firewalld take many steps to
do what they do: how long, in seconds, to wait before each further attempt."""


class HostForwarding:
    """The way past the other firewalls of this host; see `netshare.host.Forwarding`.

    ``mark`` is the bit of the connection mark that says a flow is netshare's.
    """

    def __init__(self, mark: int = DEFAULT_MARK, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Nothing is looked at before it is asked."""
        self._sleep = sleep
        self._mark = mark
        self._rule = places.rule(mark)
        self._lookout = Lookout(mark)

    def close(self) -> None:
        """Close what it looks through; the next use opens it again."""
        self._lookout.close()

    def ensure(self, *, needed: bool) -> Sequence[Obstacle]:
        """Put the rules in their places, or, where they are not needed, remove them; give what they can't overcome.

        Raises:
            NotPermittedError: needs CAP_NET_ADMIN.
            NetfilterError: the iptables tool that manages a chain refuses.

        """
        refused: NetfilterError | None = None
        for pause in _PAUSES:
            if pause:
                self._sleep(pause)
            surroundings = self._lookout.look()
            try:
                changed = self._settle(surroundings, needed=needed)
            except NetfilterError as error:
                refused = error
                self._lookout.doubt()
                continue
            if not changed:
                return obstacles(surroundings, self._mark) if needed else ()
        raise refused or NetfilterError("the rules of this host's firewall change faster than netshare's can follow")

    def obstacles(self) -> Sequence[Obstacle]:
        """Look, and change nothing; see `ensure`."""
        return obstacles(self._lookout.look(), self._mark)

    def neighbours(self) -> Sequence[str]:
        """Look, change nothing, and name the firewalls and engines' backends that are here."""
        return neighbours(self._lookout.look())

    def missing(self) -> Sequence[str]:
        """Look, change nothing, and name the tables in which netshare's rule is not in its place; see `ensure`."""
        seen = self._lookout.look()
        amiss = (table for table in seen.tables if places.rewrite(table, self._rule, needed=True))
        lacks_marks = seen.asks_for_packet_marks and not packet_marks.is_whole(self._lookout.netlink(), seen.chains)
        return [*(f"{t.variant.program} {TABLE}" for t in amiss), *([f"nft {PACKET_MARKS}"] if lacks_marks else [])]

    def _settle(self, surroundings: Surroundings, *, needed: bool) -> bool:
        """Do what is missing; whether anything was."""
        changed = [self._rewrite(table, needed=needed) for table in surroundings.tables]
        netlink, chains, marks = self._lookout.netlink(), surroundings.chains, surroundings.asks_for_packet_marks
        changed.append(netavark.settle(netlink, chains, self._mark, needed=needed))
        changed.append(packet_marks.settle(netlink, chains, self._mark, needed=needed and marks))
        return any(changed)

    def _rewrite(self, table: FilterTable, *, needed: bool) -> bool:
        changes = places.rewrite(table, self._rule, needed=needed)
        if changes:
            script = "\n".join((f"*{TABLE}", *map(join, changes), "COMMIT", ""))
            command.run(f"{table.variant.program}-restore", "-w", "5", "--noflush", given=script)
        return bool(changes)

"""The nftables driver: one atomic netlink transaction a change, and the kernel itself as its only memory."""

from collections.abc import Mapping
from types import MappingProxyType

from netshare.core.diff import Change, diff
from netshare.core.model import Service, Strategy
from netshare.core.ruleset import Ruleset, Target
from netshare.netfilter.driver import Observation, Offer
from netshare.netfilter.netlink import SUBSYSTEM_NFTABLES, Netlink
from netshare.netfilter.nftables import reading, transaction, words
from netshare.netfilter.nftables.chains import DEFAULT_MARK, TABLE
from netshare.netfilter.nftables.wire import number, table_of, text

_GENERATION_ID = 1  # NFTA_GEN_ID


class NftablesDriver:
    """Programs nf_tables in the network namespace of the thread that uses it first. Needs no ``nft`` binary.

    The socket stays open: closing one waits for the kernel to free what was deleted, some 14 ms (nft_rcv_nl_event).
    """

    name = "nftables"
    offers = MappingProxyType({name: Offer(frozenset(Strategy))})

    def __init__(self, mark: int = DEFAULT_MARK) -> None:
        """``mark`` is the bit of a flow's connection mark that says it is netshare's."""
        self._mark = mark
        self._socket: Netlink | None = None

    def _netlink(self) -> Netlink:
        if self._socket is None:
            self._socket = Netlink(SUBSYSTEM_NFTABLES)
        return self._socket

    @property
    def port(self) -> int | None:
        """What the kernel calls the socket that its commits come from; ``None`` while there is none."""
        return None if self._socket is None else self._socket.port

    def close(self) -> None:
        """Close the socket; the next use opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def place(self, service: Service) -> str:
        """Name the driver that a service asks for, else this one."""
        return service.placed(self.name)

    def observe(self) -> Observation:
        """Read back what is programmed; see `netshare.netfilter.driver.Driver`."""
        return reading.observe(self._netlink(), self._mark)

    def connections(self) -> Mapping[Target, int]:
        """Read back the counters alone; see `netshare.netfilter.driver.Driver`."""
        return reading.connections(self._netlink())

    def apply(self, change: Change) -> None:
        """Commit a change in one batch; see `netshare.netfilter.driver.Driver`."""
        if not change.is_empty:
            self._netlink().commit(transaction.write(change, self._mark))

    def check(self, ruleset: Ruleset) -> None:
        """Have the kernel try a ruleset on a table of its own, from nothing, without keeping any of it.

        Raises:
            NotPermittedError, NetfilterError: this kernel refuses it, named by the object it refuses.

        """
        change = diff(Ruleset(), ruleset, rebuild=True)
        self._netlink().check(transaction.write(change, self._mark))

    def remove_all(self) -> None:
        """Delete the table, if it is there."""
        netlink, about = self._netlink(), f"table inet {TABLE}"
        if netlink.get(transaction.GET_TABLE, transaction.NFPROTO_INET, text(1, TABLE), about=about) is not None:
            netlink.commit(transaction.delete_table())

    def render(self, ruleset: Ruleset) -> str:
        """Write a ruleset in nft's words."""
        return words.render(ruleset, self._mark)

    def generation(self) -> int:
        """Return the number that the kernel raises with every commit to nf_tables, by whomever, in this namespace."""
        answer = self._netlink().get(transaction.GET_GENERATION, 0, about="the generation of nf_tables")
        return number(table_of(answer or b"").get(_GENERATION_ID))

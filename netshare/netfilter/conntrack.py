"""The connections the kernel tracks: how many of netshare's are open now, by the endpoint they go to.

The kernel is asked for those with netshare's mark alone; one that can't filter sends all, so it is checked here too.

Source: net/netfilter/nf_conntrack_netlink.c; the states: include/uapi/linux/netfilter/nf_conntrack_{tcp,sctp}.h.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from netshare.core.draining import Way
from netshare.core.model import Protocol
from netshare.core.ruleset import Target
from netshare.errors import NetfilterError
from netshare.netfilter import tracked
from netshare.netfilter.netlink import SUBSYSTEM_CONNTRACK, Netlink
from netshare.netfilter.nftables.chains import DEFAULT_MARK
from netshare.netfilter.nftables.wire import u32

GET = 1  # IPCTNL_MSG_CT_GET
BOTH_FAMILIES = 0  # AF_UNSPEC

_OPEN = {
    # SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT: one side at least may still send (enum tcp_conntrack).
    Protocol.TCP: frozenset({2, 3, 4, 5}),
    # COOKIE_WAIT, COOKIE_ECHOED, ESTABLISHED, HEARTBEAT_SENT, HEARTBEAT_ACKED (enum sctp_conntrack).
    Protocol.SCTP: frozenset({2, 3, 4, 8, 9}),
    Protocol.UDP: frozenset({0}),  # it has none
}
_NOT_OVER = _OPEN | {Protocol.TCP: _OPEN[Protocol.TCP] | {1}}
"""With SYN_SENT: the replica may have taken it by now."""


class TrackedConnections:
    """netshare's connections in the calling thread's network namespace."""

    def __init__(self, mark: int = DEFAULT_MARK) -> None:
        """``mark`` is the bit of the connection mark that says a flow is netshare's."""
        self._mark = mark

    def active(self) -> Mapping[Target, int]:
        """Count those that are open now.

        Raises:
            NotPermittedError: needs CAP_NET_ADMIN in this network namespace.
            NetfilterError: this kernel can't tell.

        """
        return count(self._messages(), self._mark)

    def by_way(self) -> Mapping[Way, int]:
        """Count those that are open now, or about to be, by the port that they came to as well: see `active`."""
        return count_by_way(self._messages(), self._mark)

    def _messages(self) -> Iterable[memoryview]:
        with Netlink(SUBSYSTEM_CONNTRACK) as netlink:
            try:
                return netlink.dump(GET, BOTH_FAMILIES, marked(self._mark), about="the tracked connections")
            except NetfilterError as error:
                raise NetfilterError(error.message, hint="try: modprobe nf_conntrack_netlink") from error


def marked(mark: int) -> bytes:
    """Ask for the flows that have a mark."""
    return u32(tracked.MARK, mark) + u32(tracked.MARK_MASK, mark)


def count(messages: Iterable[memoryview], mark: int) -> dict[Target, int]:
    """Count the open connections in a dump, by the endpoint that answers.

    A message that is cut short, or of a protocol netshare does not know, counts for nothing.
    """
    found: Counter[tuple[int, bytes, bytes]] = Counter()
    for message in messages:
        ends = tracked.ends(message)
        if ends is not None and _is_in(message, ends, mark, _OPEN):
            found[ends.protocol, ends.endpoint, ends.endpoint_port] += 1
    return {
        Target(tracked.PROTOCOL[protocol], tracked.endpoint(address, port)): connections
        for (protocol, address, port), connections in found.items()
    }


def count_by_way(messages: Iterable[memoryview], mark: int) -> dict[Way, int]:
    """Count the connections in a dump that are open, or that nobody has answered yet, by the way they go."""
    found: Counter[tuple[int, bytes, bytes, bytes]] = Counter()
    for message in messages:
        ends = tracked.ends(message)
        if ends is not None and _is_in(message, ends, mark, _NOT_OVER):
            found[ends.protocol, ends.listener_port, ends.endpoint, ends.endpoint_port] += 1
    return {
        (tracked.PROTOCOL[protocol], int.from_bytes(listener, "big"), tracked.endpoint(address, port)): connections
        for (protocol, listener, address, port), connections in found.items()
    }


def _is_in(message: memoryview, ends: tracked.Ends, mark: int, states: Mapping[Protocol, frozenset[int]]) -> bool:
    """Whether a connection is netshare's and in one of these states."""
    if not tracked.mark(message, ends) & mark:
        return False
    return tracked.state(message, ends) in states[tracked.PROTOCOL[ends.protocol]]

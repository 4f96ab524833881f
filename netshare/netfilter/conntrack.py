"""The connections the kernel tracks: how many of netshare's are open now, by the endpoint they go to.

The kernel is asked for those with netshare's mark alone; one that can't filter sends all, so it is checked here too.

Source: net/netfilter/nf_conntrack_netlink.c; the states: include/uapi/linux/netfilter/nf_conntrack_{tcp,sctp}.h.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from netshare.core.model import Protocol
from netshare.core.ruleset import Target
from netshare.errors import NetfilterError
from netshare.netfilter import tracked
from netshare.netfilter.netlink import SUBSYSTEM_CONNTRACK, Netlink
from netshare.netfilter.nftables.chains import DEFAULT_MARK
from netshare.netfilter.nftables.wire import u32

GET = 1  # IPCTNL_MSG_CT_GET
BOTH_FAMILIES = 0  # AF_UNSPEC

_OPENING = {
    Protocol.TCP: frozenset({1}),  # SYN_SENT
    Protocol.SCTP: frozenset[int](),  # its first state is among the open ones
    Protocol.UDP: frozenset[int](),
}
_OPEN = {
    # SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT: one side at least may still send (enum tcp_conntrack).
    Protocol.TCP: frozenset({2, 3, 4, 5}),
    # COOKIE_WAIT, COOKIE_ECHOED, ESTABLISHED, HEARTBEAT_SENT, HEARTBEAT_ACKED (enum sctp_conntrack).
    Protocol.SCTP: frozenset({2, 3, 4, 8, 9}),
    Protocol.UDP: frozenset({0}),  # it has none
}


class TrackedConnections:
    """netshare's connections in the calling thread's network namespace."""

    def __init__(self, mark: int = DEFAULT_MARK) -> None:
        """``mark`` is the bit of the connection mark that says a flow is netshare's."""
        self._mark = mark

    def active(self, *, opening: bool = False) -> Mapping[Target, int]:
        """Count those that are open now; ``opening``: and those that nobody has answered yet.

        Raises:
            NotPermittedError: needs CAP_NET_ADMIN in this network namespace.
            NetfilterError: this kernel can't tell.

        """
        with Netlink(SUBSYSTEM_CONNTRACK) as netlink:
            try:
                messages = netlink.dump(GET, BOTH_FAMILIES, marked(self._mark), about="the tracked connections")
            except NetfilterError as error:
                raise NetfilterError(error.message, hint="try: modprobe nf_conntrack_netlink") from error
        return count(messages, self._mark, opening=opening)


def marked(mark: int) -> bytes:
    """Ask for the flows that have a mark."""
    return u32(tracked.MARK, mark) + u32(tracked.MARK_MASK, mark)


def count(messages: Iterable[memoryview], mark: int, *, opening: bool = False) -> dict[Target, int]:
    """Count the open connections in a dump, by the endpoint that answers.

    A message that is cut short, or of a protocol netshare does not know, counts for nothing.
    """
    found: Counter[tuple[int, bytes, bytes]] = Counter()
    for message in messages:
        ends = tracked.ends(message)
        if ends is not None and _is_open(message, ends, mark, opening=opening):
            found[ends.protocol, ends.endpoint, ends.endpoint_port] += 1
    return {
        Target(tracked.PROTOCOL[protocol], tracked.endpoint(address, port)): connections
        for (protocol, address, port), connections in found.items()
    }


def _is_open(message: memoryview, ends: tracked.Ends, mark: int, *, opening: bool) -> bool:
    """Whether a connection is netshare's and not over."""
    if not tracked.mark(message, ends) & mark:
        return False
    state, protocol = tracked.state(message, ends), tracked.PROTOCOL[ends.protocol]
    return state in _OPEN[protocol] or (opening and state in _OPENING[protocol])

"""Replicas that leave clients waiting: connections of netshare's whose first packet nobody has answered.

Where a replica refuses, nothing can be seen here: the kernel forgets a flow whose only answer is a reset at once
(nf_conntrack_tcp_packet in net/netfilter/nf_conntrack_proto_tcp.c).

The kernel is asked for unanswered flows with netshare's mark alone; one that can't filter by status or mark
sends more, so both are checked here too. Source: net/netfilter/nf_conntrack_netlink.c.
"""

from netshare.core.model import Endpoint, Protocol
from netshare.netfilter import tracked
from netshare.netfilter.conntrack import BOTH_FAMILIES, GET, marked
from netshare.netfilter.netlink import SUBSYSTEM_CONNTRACK, Netlink
from netshare.netfilter.nftables.chains import DEFAULT_MARK
from netshare.netfilter.nftables.wire import u32

_STATUS, _STATUS_MASK = 3, 26  # CTA_*
_SEEN_REPLY = 1 << 1  # IPS_SEEN_REPLY
_SYN_SENT = 1  # enum tcp_conntrack


class UnansweredConnections:
    """The unanswered connections in the network namespace of the thread that asks first.

    The socket stays open: closing one of nfnetlink waits for what nf_tables has to free, some 14 ms (nft_rcv_nl_event).
    """

    def __init__(self, mark: int = DEFAULT_MARK) -> None:
        """``mark`` is the bit of the connection mark that says a flow is netshare's."""
        self._mark = mark
        self._socket: Netlink | None = None

    def endpoints(self) -> frozenset[Endpoint]:
        """Name the endpoints that have such connections now.

        Raises:
            NotPermittedError: needs CAP_NET_ADMIN in this network namespace.
            NetfilterError: this kernel can't tell.

        """
        if self._socket is None:
            self._socket = Netlink(SUBSYSTEM_CONNTRACK)
        wanted = marked(self._mark) + u32(_STATUS, 0) + u32(_STATUS_MASK, _SEEN_REPLY)
        try:
            found = self._socket.pick(GET, BOTH_FAMILIES, wanted, self._endpoint, about="the tracked connections")
        except BaseException:
            self.close()  # with whatever is still to come from it
            raise
        return frozenset(tracked.endpoint(*packed) for packed in set(found))

    def close(self) -> None:
        """Close the socket; the next use opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _endpoint(self, message: memoryview) -> tuple[bytes, bytes] | None:
        ends = tracked.ends(message)
        if ends is None or tracked.PROTOCOL[ends.protocol] is not Protocol.TCP:
            return None
        if not tracked.mark(message, ends) & self._mark or tracked.state(message, ends) != _SYN_SENT:
            return None
        return ends.endpoint, ends.endpoint_port

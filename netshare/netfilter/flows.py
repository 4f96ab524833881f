"""The tracked flows that are no longer wanted, ended: their conntrack entries are deleted, and nobody else's.

One dump, in which the kernel picks netshare's flows by their mark where these are all that matter; then each entry is
deleted by its way back and its number. (A filter by ports would need a dump for each family and port; to delete by one
would not tell whose connections these were.)

Source: net/netfilter/nf_conntrack_netlink.c; the states: include/uapi/linux/netfilter/nf_conntrack_{tcp,sctp}.h.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from netshare.core.flows import Expectation, Flow, Phase
from netshare.core.model import IPAddress, Protocol
from netshare.errors import NetfilterError
from netshare.netfilter import addresses, tracked
from netshare.netfilter.challenge import challenge
from netshare.netfilter.conntrack import BOTH_FAMILIES, GET, marked
from netshare.netfilter.netlink import SUBSYSTEM_CONNTRACK, Message, Netlink
from netshare.netfilter.nftables.chains import DEFAULT_MARK
from netshare.netfilter.nftables.maps import PROTOCOL_NUMBER

_DELETE = 2  # IPCTNL_MSG_CT_DELETE
_FAMILY = {4: 2, 16: 10}  # AF_INET, AF_INET6, by the length of an address

_LAST_ANSWERS = 0.05
"""Seconds that a process of this host is given to answer what it was sent before its port was taken."""

_PHASES = {
    Protocol.TCP: {  # enum tcp_conntrack
        3: Phase.ESTABLISHED,
        **dict.fromkeys((4, 5, 6), Phase.CLOSING),  # FIN_WAIT, CLOSE_WAIT, LAST_ACK
        **dict.fromkeys((7, 8), Phase.OVER),  # TIME_WAIT, CLOSE
    },
    Protocol.SCTP: {  # enum sctp_conntrack
        **dict.fromkeys((4, 9), Phase.ESTABLISHED),  # ESTABLISHED, HEARTBEAT_ACKED
        **dict.fromkeys((5, 6, 7), Phase.CLOSING),  # SHUTDOWN_SENT, SHUTDOWN_RECD, SHUTDOWN_ACK_SENT
        1: Phase.OVER,  # CLOSED
    },
}


@dataclass(frozen=True, slots=True)
class _Ended:
    """A flow to end: how the kernel finds it, and whom to tell, by address and port as the kernel has them."""

    way_back: bytes
    number: bytes
    flow: Flow
    client: tuple[bytes, bytes]


class TrackedFlows:
    """The flows in the network namespace of the thread that uses it first.

    The socket stays open: closing one of nfnetlink waits for what nf_tables has to free, some 14 ms (nft_rcv_nl_event).
    """

    def __init__(self, mark: int = DEFAULT_MARK) -> None:
        """``mark`` is the bit of the connection mark that says a flow is netshare's."""
        self._mark = mark
        self._socket: Netlink | None = None

    def end(self, expected: Expectation) -> Sequence[Flow]:
        """Look at the flows once, end those that must, and tell which those were; not those that were over already.

        Raises:
            NotPermittedError: needs CAP_NET_ADMIN in this network namespace.
            NetfilterError: this kernel can't tell, or refused; some may be left.

        """
        try:
            ended = self._find(expected)
            self._netlink().perform(map(_deletion, ended))
            if answered_here := [item for item in ended if not item.flow.is_ours]:
                time.sleep(_LAST_ANSWERS)
                self._netlink().perform(map(_late_deletion, answered_here))
        except BaseException:
            self.close()  # with whatever is still to come from it
            raise
        challenge((tracked.endpoint(*item.client), item.flow.listener) for item in ended if _is_waiting(item.flow))
        return [item.flow for item in ended if not item.flow.is_over]

    def close(self) -> None:
        """Close the socket; the next use opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _netlink(self) -> Netlink:
        if self._socket is None:
            self._socket = Netlink(SUBSYSTEM_CONNTRACK)
        return self._socket

    def _find(self, expected: Expectation) -> list[_Ended]:
        wanted = b"" if expected.ports else marked(self._mark)
        own = addresses.own_addresses() if expected.ports else frozenset()
        choose = _Choice(self._mark, expected, own)
        try:
            return self._netlink().pick(GET, BOTH_FAMILIES, wanted, choose, about="the tracked flows")
        except NetfilterError as error:
            raise NetfilterError(error.message, hint="try: modprobe nf_conntrack_netlink") from error


class _Choice:
    """Chooses the flows to end; flows that differ by their client alone are asked about once."""

    def __init__(self, mark: int, expected: Expectation, own: frozenset[IPAddress]) -> None:
        self._mark = mark
        self._expected = expected
        self._own = own
        self._ports = {(PROTOCOL_NUMBER[protocol], port.to_bytes(2, "big")) for protocol, port in expected.ports}
        self._known: dict[tuple[object, ...], Flow | None] = {}

    def __call__(self, message: memoryview) -> _Ended | None:
        found = tracked.ends(message)
        if found is None:
            return None
        protocol, client, client_port, listener, port, *endpoint, _ = found
        is_ours = bool(tracked.mark(message, found) & self._mark)
        if not is_ours and (protocol, port) not in self._ports:
            return None
        state = tracked.state(message, found)
        key = (protocol, listener, port, *endpoint, is_ours, state)
        if key not in self._known:
            flow = self._flow(found, state, is_ours=is_ours)
            self._known[key] = flow if self._expected.ends(flow) else None
        flow_to_end = self._known[key]
        if flow_to_end is None:
            return None
        return _Ended(*tracked.identity(message), flow_to_end, (client, client_port))

    def _flow(self, found: tracked.Ends, state: int, *, is_ours: bool) -> Flow:
        protocol = tracked.PROTOCOL[found.protocol]
        listener = tracked.endpoint(found.listener, found.listener_port)
        phases = _PHASES.get(protocol)
        return Flow(
            protocol,
            listener,
            tracked.endpoint(found.endpoint, found.endpoint_port),
            is_ours,
            # The rules look at local destinations only: what is ours is local, whatever the host's addresses are now.
            is_local=is_ours or listener.address.is_loopback or listener.address in self._own,
            phase=None if phases is None else phases.get(state, Phase.OPENING),
        )


def _deletion(item: _Ended) -> Message:
    """Name one entry."""
    return _delete(item, item.way_back + item.number)


def _late_deletion(item: _Ended) -> Message:
    """Name whatever entry has the way back of one that passed netshare's rules by, in either direction.

    A process of this host may have had a datagram of the client's still to answer. With no entry to belong to, the
    answer begins a flow from the host to the client, and what the client sends then is that flow's way back: it passes
    the rules by again. The way back of a flow that went through the rules is another.
    """
    return _delete(item, item.way_back)


def _delete(item: _Ended, identity: bytes) -> Message:
    if not item.way_back:
        raise ValueError("a deletion that names no entry would delete them all")
    return Message(_DELETE, 0, _FAMILY[len(item.client[0])], identity, f"the end of a {item.flow.protocol} flow")


def _is_waiting(flow: Flow) -> bool:
    """Whether a client may be waiting for bytes that will never come, with nothing to send that would tell it."""
    return flow.protocol is Protocol.TCP and flow.phase is Phase.ESTABLISHED

"""What is read of a tracked flow, what the kernel is told, and what its client is asked."""

import socket
import struct
from collections.abc import Callable, Iterable
from ipaddress import ip_address

import pytest

from netshare.core.flows import NOTHING, Expectation, Flow, Phase
from netshare.core.model import Endpoint, Family, IPAddress, Protocol
from netshare.core.ruleset import Match
from netshare.errors import NetfilterError, NotPermittedError
from netshare.netfilter import addresses, flows, tracked
from netshare.netfilter.challenge import MOST, challenge, segment
from netshare.netfilter.conntrack import count, marked
from netshare.netfilter.flows import TrackedFlows
from netshare.netfilter.netlink import Message
from netshare.netfilter.nftables.maps import PROTOCOL_NUMBER
from netshare.netfilter.nftables.wire import attribute, u32
from tests.unit.netfilter.conntrack_messages import direction, flow

MARK = 0x01000000


def at(address: str, port: int) -> Endpoint:
    return Endpoint(ip_address(address), port)


FOUR = at("198.18.0.2", 40000), at("198.18.0.1", 53), at("172.30.0.10", 8080)
SIX = at("2001:db8::2", 40000), at("2001:db8::1", 53), at("fd00:172:30::a", 8080)
BOTH = pytest.mark.parametrize(("client", "listener", "endpoint"), [FOUR, SIX], ids=["ip", "ip6"])


def entry(
    protocol: Protocol,
    client: Endpoint,
    listener: Endpoint,
    endpoint: Endpoint,
    *,
    mark: int = 0,
    state: int = 0,
    identity: int = 1,
    is_shaped_otherwise: bool = False,
) -> memoryview:
    return flow(
        endpoint,
        protocol,
        client=client,
        listener=listener,
        mark=mark,
        state=state,
        identity=identity,
        is_shaped_otherwise=is_shaped_otherwise,
    )


def way(kind: int, protocol: Protocol, source: Endpoint, destination: Endpoint) -> bytes:
    return direction(kind, PROTOCOL_NUMBER[protocol], source, destination)


class Kernel:
    """Answers a dump, and notes what it is told."""

    def __init__(self, *entries: memoryview) -> None:
        self.entries = entries
        self.asked: list[bytes] = []
        self.told: list[Message] = []
        self.closed = 0
        self.failure: Exception | None = None

    def open(self, _subsystem: int) -> "Kernel":
        return self

    def pick(
        self, _kind: int, _family: int, attributes: bytes, choose: Callable[[memoryview], object], *, about: str
    ) -> list[object]:
        assert about
        self.asked.append(attributes)
        if self.failure is not None:
            raise self.failure
        return [chosen for each in self.entries if (chosen := choose(each)) is not None]

    def perform(self, messages: Iterable[Message]) -> None:
        self.told += messages

    def close(self) -> None:
        self.closed += 1


class Everything:
    """Ends all it sees, and remembers what that was."""

    def __init__(self) -> None:
        self.seen: list[Flow] = []

    def expectation(self, *fresh: Match) -> Expectation:
        seen = self.seen

        class Watching(Expectation):
            def ends(self, flow: Flow) -> bool:
                seen.append(flow)
                return True

        return Watching(NOTHING.listeners, NOTHING.removed, set(fresh), {}, NOTHING.watched, NOTHING.living, True)  # noqa: FBT003


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Endpoint, Endpoint]]:
    """Whom a challenge would go to; and nobody waits."""
    found: list[tuple[Endpoint, Endpoint]] = []
    monkeypatch.setattr(flows, "challenge", found.extend)
    monkeypatch.setattr(flows, "_LAST_ANSWERS", 0)
    return found


def end(monkeypatch: pytest.MonkeyPatch, kernel: Kernel, expected: Expectation, own: Iterable[IPAddress] = ()) -> int:
    monkeypatch.setattr(flows, "Netlink", kernel.open)
    monkeypatch.setattr(addresses, "own_addresses", lambda: frozenset(own))
    return len(TrackedFlows(MARK).end(expected))


class TestReading:
    @BOTH
    @pytest.mark.parametrize("protocol", Protocol)
    def test_the_ends_of_a_flow(
        self, protocol: Protocol, client: Endpoint, listener: Endpoint, endpoint: Endpoint
    ) -> None:
        found = tracked.ends(entry(protocol, client, listener, endpoint))
        assert found is not None
        assert tracked.PROTOCOL[found.protocol] is protocol
        assert tracked.endpoint(found.client, found.client_port) == client
        assert tracked.endpoint(found.listener, found.listener_port) == listener
        assert tracked.endpoint(found.endpoint, found.endpoint_port) == endpoint

    @BOTH
    def test_in_a_message_of_another_shape_they_are_the_same(
        self, client: Endpoint, listener: Endpoint, endpoint: Endpoint
    ) -> None:
        usual = tracked.ends(entry(Protocol.TCP, client, listener, endpoint))
        zoned = tracked.ends(entry(Protocol.TCP, client, listener, endpoint, is_shaped_otherwise=True))
        swapped = memoryview(
            way(tracked.TUPLE_REPLY, Protocol.TCP, endpoint, client)
            + way(tracked.TUPLE_ORIG, Protocol.TCP, client, listener)
        )
        assert usual is not None
        assert zoned == tracked.ends(swapped) == usual._replace(rest=0)

    @pytest.mark.parametrize("shape", ["usual", "zoned"])
    @pytest.mark.parametrize("protocol", Protocol)
    def test_mark_and_state(self, protocol: Protocol, shape: str) -> None:
        message = entry(protocol, *FOUR, mark=MARK | 5, state=3, is_shaped_otherwise=shape == "zoned")
        found = tracked.ends(message)
        assert found is not None
        assert tracked.mark(message, found) == MARK | 5
        assert tracked.state(message, found) == (0 if protocol is Protocol.UDP else 3)

    def test_a_message_that_is_cut_short_anywhere_is_no_disaster(self) -> None:
        message = entry(Protocol.TCP, *FOUR, mark=MARK, state=3)
        for length in range(len(message)):
            part = message[:length]
            found = tracked.ends(part)
            if found is not None:
                assert tracked.mark(part, found) in (0, MARK)
                assert tracked.state(part, found) in (0, 3)
            tracked.identity(part)

    def test_a_protocol_without_ports_is_none_of_ours(self) -> None:
        message = bytearray(entry(Protocol.UDP, *FOUR))
        for start in (0, len(message)):
            where = bytes(message).find(attribute(tracked.PROTO_NUMBER, b"\x11"), start and 52)
            message[where + 4] = socket.IPPROTO_ICMP
        assert tracked.ends(memoryview(message)) is None

    @BOTH
    def test_the_way_back_and_the_number_make_a_flow_this_one(
        self, client: Endpoint, listener: Endpoint, endpoint: Endpoint
    ) -> None:
        message = entry(Protocol.UDP, client, listener, endpoint, identity=77, is_shaped_otherwise=True)
        way_back, number = tracked.identity(message)
        assert way_back == way(tracked.TUPLE_REPLY, Protocol.UDP, endpoint, client) + attribute(tracked.ZONE, b"\0\7")
        assert number == u32(tracked.ID, 77)

    def test_counting_goes_on_reading_the_same(self) -> None:
        open_, over = (entry(Protocol.TCP, *FOUR, mark=MARK, state=state) for state in (3, 7))
        others = entry(Protocol.TCP, *FOUR, state=3)
        (counted,) = count([open_, open_, over, others], MARK).items()
        assert (counted[0].endpoint, counted[1]) == (FOUR[2], 2)


class TestLooking:
    def test_the_kernel_sends_ours_alone_where_nothing_else_matters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kernel = Kernel()
        assert end(monkeypatch, kernel, NOTHING) == 0
        assert kernel.asked == [marked(MARK)]

    def test_and_everything_where_flows_may_have_passed_by(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kernel = Kernel()
        end(monkeypatch, kernel, Everything().expectation(Match(Family.IP, Protocol.UDP, 53)))
        assert kernel.asked == [b""]

    def test_flows_of_others_are_looked_at_on_those_ports_alone(
        self, monkeypatch: pytest.MonkeyPatch, asked: list[object]
    ) -> None:
        client, listener, _ = FOUR
        elsewhere = at("198.18.0.1", 54)
        kernel = Kernel(
            entry(Protocol.UDP, client, listener, listener),
            entry(Protocol.UDP, client, elsewhere, elsewhere),
            entry(Protocol.TCP, client, listener, listener, state=3),
        )
        everything = Everything()
        expected = everything.expectation(Match(Family.IP, Protocol.UDP, 53))
        assert end(monkeypatch, kernel, expected) == 1
        assert everything.seen == [Flow(Protocol.UDP, listener, listener, is_ours=False, is_local=False)]
        assert asked == []

    @pytest.mark.parametrize(
        ("address", "own", "is_local"),
        [
            ("198.18.0.1", ["198.18.0.1", "fd00::1"], True),
            ("198.18.0.9", ["198.18.0.1", "fd00::1"], False),
            ("127.0.0.53", [], True),
            ("fd00::1", ["198.18.0.1", "fd00::1"], True),
        ],
    )
    def test_which_destinations_are_the_hosts_own(
        self, monkeypatch: pytest.MonkeyPatch, asked: list[object], address: str, own: list[str], *, is_local: bool
    ) -> None:
        to = at(address, 53)
        kernel = Kernel(entry(Protocol.UDP, Endpoint(to.address, 999), to, to))
        everything = Everything()
        expected = everything.expectation(Match(to.family, Protocol.UDP, 53))
        end(monkeypatch, kernel, expected, map(ip_address, own))
        assert [flow.is_local for flow in everything.seen] == [is_local]
        assert asked == []

    @pytest.mark.parametrize(
        ("protocol", "states", "phase"),
        [
            (Protocol.UDP, (0,), None),
            (Protocol.TCP, (1, 2, 9), Phase.OPENING),
            (Protocol.TCP, (3,), Phase.ESTABLISHED),
            (Protocol.TCP, (4, 5, 6), Phase.CLOSING),
            (Protocol.TCP, (7, 8), Phase.OVER),
            (Protocol.SCTP, (2, 3, 8), Phase.OPENING),
            (Protocol.SCTP, (4, 9), Phase.ESTABLISHED),
            (Protocol.SCTP, (5, 6, 7), Phase.CLOSING),
            (Protocol.SCTP, (1,), Phase.OVER),
        ],
    )
    def test_phases(
        self,
        monkeypatch: pytest.MonkeyPatch,
        asked: list[object],
        protocol: Protocol,
        states: tuple[int, ...],
        phase: Phase | None,
    ) -> None:
        kernel = Kernel(*(entry(protocol, *FOUR, mark=MARK, state=state) for state in states))
        everything = Everything()
        end(monkeypatch, kernel, everything.expectation())
        _, listener, endpoint = FOUR
        assert set(everything.seen) == {Flow(protocol, listener, endpoint, is_ours=True, phase=phase)}
        assert len(asked) == (protocol is Protocol.TCP and phase is Phase.ESTABLISHED)

    def test_flows_that_differ_by_their_client_are_judged_once(
        self, monkeypatch: pytest.MonkeyPatch, asked: list[object]
    ) -> None:
        _, *ends = FOUR
        kernel = Kernel(*(entry(Protocol.UDP, at("198.18.0.2", port), *ends, mark=MARK) for port in range(1, 100)))
        everything = Everything()
        assert end(monkeypatch, kernel, everything.expectation()) == 99
        assert len(everything.seen) == 1
        assert asked == []

    def test_a_kernel_that_does_not_filter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kernel = Kernel(entry(Protocol.UDP, *FOUR, mark=2))
        everything = Everything()
        assert end(monkeypatch, kernel, everything.expectation()) == 0
        assert everything.seen == []


class TestEnding:
    @BOTH
    def test_each_is_deleted_by_its_way_back_and_number(
        self,
        monkeypatch: pytest.MonkeyPatch,
        asked: list[object],
        client: Endpoint,
        listener: Endpoint,
        endpoint: Endpoint,
    ) -> None:
        kernel = Kernel(entry(Protocol.TCP, client, listener, endpoint, mark=MARK, state=3, identity=9))
        assert end(monkeypatch, kernel, Everything().expectation()) == 1
        (told,) = kernel.told
        family = socket.AF_INET if client.address.version == 4 else socket.AF_INET6
        assert (told.kind, told.flags, told.family) == (2, 0, family)
        assert told.attributes == way(tracked.TUPLE_REPLY, Protocol.TCP, endpoint, client) + u32(tracked.ID, 9)
        assert asked == [(client, listener)]

    def test_what_passed_by_is_deleted_twice_the_second_time_by_its_way_back_alone(
        self, monkeypatch: pytest.MonkeyPatch, asked: list[object]
    ) -> None:
        client, listener, endpoint = FOUR
        ours = entry(Protocol.UDP, at("198.18.0.3", 1), listener, endpoint, mark=MARK)
        kernel = Kernel(entry(Protocol.UDP, client, listener, listener), ours)
        expected = Everything().expectation(Match(Family.IP, Protocol.UDP, 53))
        assert end(monkeypatch, kernel, expected) == 2
        way_back = way(tracked.TUPLE_REPLY, Protocol.UDP, listener, client)
        assert [len(kernel.told), kernel.told[-1].attributes] == [3, way_back]
        assert asked == []

    def test_the_socket_is_given_up_when_something_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kernel = Kernel()
        kernel.failure = NetfilterError("could not read the tracked flows: no such thing")
        with pytest.raises(NetfilterError, match="tracked flows") as caught:
            end(monkeypatch, kernel, NOTHING)
        assert caught.value.hint == "try: modprobe nf_conntrack_netlink"
        assert kernel.closed == 1

    @pytest.mark.parametrize("mark", [MARK, 0])
    def test_never_without_naming_it(self, monkeypatch: pytest.MonkeyPatch, asked: list[object], mark: int) -> None:
        """An order to delete what has no name deletes the whole table."""
        client, listener, _ = FOUR
        kernel = Kernel(entry(Protocol.UDP, client, listener, listener, mark=mark))
        monkeypatch.setattr(tracked, "identity", lambda _: (b"", u32(tracked.ID, 1)))
        with pytest.raises(ValueError, match="delete them all"):
            end(monkeypatch, kernel, Everything().expectation(Match(Family.IP, Protocol.UDP, 53)))
        assert (kernel.told, asked) == ([], [])


class TestChallenge:
    @BOTH
    def test_a_segment(self, client: Endpoint, listener: Endpoint, endpoint: Endpoint) -> None:
        del endpoint
        packet = segment(listener, client)
        is_ipv4 = listener.address.version == 4
        header = 20 if is_ipv4 else 40
        addresses_at = 12 if is_ipv4 else 8
        packed = listener.address.packed + client.address.packed
        assert packet[addresses_at:header] == packed
        tcp = packet[header:]
        ports = struct.unpack_from("!HH", tcp)
        assert (ports, tcp[12] >> 4, tcp[13]) == ((listener.port, client.port), 5, 0x12)
        pseudo = packed + struct.pack("!II", len(tcp), socket.IPPROTO_TCP)
        assert ones_complement(pseudo + tcp) == 0xFFFF

    def test_no_more_than_a_bounded_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sent: list[tuple[Endpoint, int]] = []
        monkeypatch.setattr(
            "netshare.netfilter.challenge._send",
            lambda listener, clients: sent.append((listener, len(list(clients)))),
        )
        challenge((at("198.18.0.2", port), FOUR[1]) for port in range(1, MOST + 50))
        assert sent == [(FOUR[1], MOST)]

    def test_nobody_to_ask_needs_no_privilege(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "socket", refuse)
        challenge([])

    def test_a_process_that_may_not_is_told_what_it_needs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "socket", refuse)
        with pytest.raises(NotPermittedError) as caught:
            challenge([(FOUR[0], FOUR[1])])
        assert "CAP_NET_RAW" in str(caught.value.hint)


def refuse(*_: object) -> socket.socket:
    raise PermissionError(1, "Operation not permitted")


def ones_complement(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class TestAddresses:
    @pytest.mark.parametrize(
        ("attributes", "address"),
        [
            (attribute(1, bytes([10, 0, 0, 1])), "10.0.0.1"),
            (attribute(1, bytes([10, 0, 0, 9])) + attribute(2, bytes([10, 0, 0, 1])), "10.0.0.1"),
            (attribute(1, ip_address("fd00::1").packed), "fd00::1"),
            (b"", None),
        ],
    )
    def test_the_hosts_own_side(self, attributes: bytes, address: str | None) -> None:
        found = addresses.parse(memoryview(bytes(8) + attributes))
        assert found == (None if address is None else ip_address(address))

    def test_a_real_kernel_has_some(self) -> None:
        found = addresses.own_addresses()
        assert all(isinstance(address, IPAddress) for address in found)

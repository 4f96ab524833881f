"""Ports that the agent holds: who is refused, who is not, and that clients notice nothing of it."""

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from netshare.core.model import Endpoint, Family, Listener, Protocol
from netshare.core.ruleset import Match
from netshare.errors import PortConflictError
from netshare.lab import links
from netshare.lab.conversation import Conversation, FailureKind
from netshare.lab.namespace import Namespace
from netshare.lab.server import ReplicaServer
from netshare.lab.topology import Lab
from netshare.lab.traffic import send
from netshare.netfilter import reservation as module
from netshare.netfilter.reservation import PortReservation
from netshare.netfilter.sockets import ListeningSockets
from tests.netns.admin import Admin

pytestmark = pytest.mark.netns

PORT = 80
SOCKETS = {Family.IP: socket.AF_INET, Family.IP6: socket.AF_INET6}
KINDS = {Protocol.TCP: socket.SOCK_STREAM, Protocol.UDP: socket.SOCK_DGRAM}
LOOPBACK = {Family.IP: ip_address("127.0.0.1"), Family.IP6: ip_address("::1")}
BOTH = [(family, protocol) for family in Family for protocol in KINDS]


class Held:
    """What is reserved on the lab's host."""

    def __init__(self, host: Namespace, *, most: int | None = None) -> None:
        self.host = host
        self.reservation = PortReservation(ListeningSockets(), most=most)

    def reserve(self, *matches: Match) -> None:
        self.host.run(self.reservation.reserve, frozenset(matches))

    def holders(self, match: Match) -> list[str]:
        return self.host.run(ListeningSockets().holders, Listener(match.port, match.protocol, match.address))

    def close(self) -> None:
        self.reservation.close()


@pytest.fixture
def bare() -> Iterator[Namespace]:
    """A host with nothing but loopback."""
    with closing(Namespace("bare")) as namespace:
        namespace.run(links.prepare, ipv6=True)
        yield namespace


@pytest.fixture
def held(bare: Namespace) -> Iterator[Held]:
    with closing(Held(bare)) as made:
        yield made


@contextmanager
def server(host: Namespace, match: Match, *options: int, v6only: bool = True) -> Iterator[socket.socket]:
    """Start a server as programs do; Go's, nginx and the like set SO_REUSEADDR."""
    with host.run(socket.socket, SOCKETS[match.family], KINDS[match.protocol]) as made:
        for option in options:
            made.setsockopt(socket.SOL_SOCKET, option, 1)
        if match.family is Family.IP6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
        made.bind(("" if match.address is None else str(match.address), match.port))
        if match.protocol is Protocol.TCP:
            made.listen()
        yield made


def refused(host: Namespace, match: Match, *options: int, v6only: bool = True) -> bool:
    try:
        with server(host, match, *options, v6only=v6only):
            return False
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return True


def connected(host: Namespace, listening: socket.socket, stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Connect to a server; its own end comes first."""
    client = stack.enter_context(host.run(socket.socket))
    client.connect(listening.getsockname())
    return stack.enter_context(listening.accept()[0]), client


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return lines


class TestWhoIsRefused:
    @pytest.mark.parametrize(
        "options",
        [(), (socket.SO_REUSEADDR,), (socket.SO_REUSEPORT,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)],
        ids=["plain", "reuseaddr", "reuseport", "both"],
    )
    @pytest.mark.parametrize(("family", "protocol"), BOTH)
    def test_every_server_on_that_port(
        self, held: Held, family: Family, protocol: Protocol, options: tuple[int, ...]
    ) -> None:
        match = Match(family, protocol, PORT)
        held.reserve(match)
        for address in (None, LOOPBACK[family]):
            assert refused(held.host, Match(family, protocol, PORT, address), *options)
        assert not refused(held.host, Match(family, protocol, PORT + 1), *options)
        held.reserve()
        assert not refused(held.host, match, *options)

    @pytest.mark.parametrize("protocol", KINDS)
    def test_one_that_takes_both_families(self, held: Held, protocol: Protocol) -> None:
        held.reserve(Match(Family.IP, protocol, PORT))
        assert refused(held.host, Match(Family.IP6, protocol, PORT), socket.SO_REUSEADDR, v6only=False)
        assert not refused(held.host, Match(Family.IP6, protocol, PORT), socket.SO_REUSEADDR)

    @pytest.mark.parametrize(("family", "protocol"), BOTH)
    def test_of_a_listener_on_one_address_those_who_would_take_it_too(
        self, held: Held, family: Family, protocol: Protocol
    ) -> None:
        # An address the host has not got is held as well: it may come later.
        addresses = [LOOPBACK[family], ip_address("198.18.0.9" if family is Family.IP else "2001:db8::9")]
        held.reserve(Match(family, protocol, PORT, addresses[1]))
        assert refused(held.host, Match(family, protocol, PORT), socket.SO_REUSEADDR)
        assert not refused(held.host, Match(family, protocol, PORT, addresses[0]), socket.SO_REUSEADDR)
        held.reserve(Match(family, protocol, PORT, addresses[0]))
        assert refused(held.host, Match(family, protocol, PORT, addresses[0]), socket.SO_REUSEADDR)

    def test_nobody_once_it_is_closed(self, held: Held) -> None:
        held.reserve(*(Match(family, protocol, PORT) for family, protocol in BOTH))
        held.close()
        assert not any(refused(held.host, Match(family, protocol, PORT)) for family, protocol in BOTH)

    @pytest.mark.parametrize(("family", "protocol"), BOTH)
    def test_the_same_port_on_one_address_and_on_every_address(
        self, held: Held, caplog: pytest.LogCaptureFixture, family: Family, protocol: Protocol
    ) -> None:
        everywhere, here = Match(family, protocol, PORT), Match(family, protocol, PORT, LOOPBACK[family])
        for matches in ([here], [here, everywhere], [everywhere], [everywhere, here], [here], [everywhere]):
            held.reserve(*matches)
            assert refused(held.host, here, socket.SO_REUSEADDR)
            assert refused(held.host, everywhere, socket.SO_REUSEADDR)
        assert said(caplog) == []


class TestWhatIsSomeoneElses:
    @pytest.mark.parametrize(("family", "protocol"), BOTH)
    def test_it_is_told_once_and_taken_when_it_is_free(
        self, held: Held, caplog: pytest.LogCaptureFixture, family: Family, protocol: Protocol
    ) -> None:
        caplog.set_level(logging.INFO)
        match = Match(family, protocol, PORT)
        with server(held.host, match, socket.SO_REUSEADDR):
            [holder] = held.holders(match)
            held.reserve(match)
            held.reserve(match)
            assert said(caplog) == [f"reserve listener=80/{protocol} held_by={holder!r}"]
        held.reserve(match)
        assert said(caplog) == [f"reserve listener=80/{protocol} held_by='netshare'"]
        assert refused(held.host, match, socket.SO_REUSEADDR)

    def test_one_listener_is_one_line_and_what_is_free_of_it_is_held(
        self, held: Held, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        matches = [Match(family, Protocol.TCP, port) for family in Family for port in (PORT, PORT + 1)]
        with (
            server(held.host, Match(Family.IP, Protocol.TCP, PORT)),
            server(held.host, Match(Family.IP6, Protocol.TCP, PORT)),
        ):
            held.reserve(*matches)
            assert len(said(caplog)) == 1
            assert refused(held.host, Match(Family.IP, Protocol.TCP, PORT + 1))
        held.reserve(*matches)
        assert said(caplog) == ["reserve listener=80/tcp held_by='netshare'"]

    def test_the_connections_of_a_server_that_ended_do_not_stand_in_the_way(
        self, held: Held, caplog: pytest.LogCaptureFixture
    ) -> None:
        match = Match(Family.IP, Protocol.TCP, PORT)
        with ExitStack() as stack:
            with server(held.host, match, socket.SO_REUSEADDR) as listening:
                pairs = [connected(held.host, listening, stack) for _ in range(2)]
            for end in pairs[0]:  # what ends first is left in TIME_WAIT; the other connection goes on
                end.close()
            held.reserve(match)
            assert said(caplog) == []
            assert refused(held.host, match, socket.SO_REUSEADDR)

    def test_an_outgoing_connection_may_have_the_port(self, held: Held, caplog: pytest.LogCaptureFixture) -> None:
        match = Match(Family.IP, Protocol.TCP, 40000)
        with server(held.host, Match(Family.IP, Protocol.TCP, PORT)), held.host.run(socket.socket) as client:
            client.bind(("127.0.0.1", match.port))
            client.connect(("127.0.0.1", PORT))
            held.reserve(match)
            assert said(caplog) == ["reserve listener=40000/tcp held_by='a connection of this host'"]
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset: no TIME_WAIT
        held.reserve(match)
        assert refused(held.host, match)

    @pytest.mark.parametrize("protocol", Protocol)
    def test_what_this_kernel_has_no_sockets_for_is_left(
        self, held: Held, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, protocol: Protocol
    ) -> None:
        monkeypatch.setitem(vars(module)["_FAMILY"], Family.IP6, socket.AF_APPLETALK)  # as ipv6.disable=1 does
        held.reserve(*(Match(family, protocol, PORT) for family in Family))
        held.reserve(*(Match(family, protocol, PORT) for family in Family))
        assert said(caplog) == []

    def test_any_other_reason_is_told_once(self, held: Held, caplog: pytest.LogCaptureFixture) -> None:
        match = Match(Family.IP6, Protocol.TCP, PORT, ip_address("fe80::1"))  # a link would have to be named
        held.reserve(match)
        held.reserve(match)
        assert said(caplog) == ["reserve listener=[fe80::1]:80/tcp reason='Invalid argument'"]

    def test_descriptors_are_left_for_everything_else(self, bare: Namespace, caplog: pytest.LogCaptureFixture) -> None:
        matches = [Match(Family.IP, Protocol.TCP, port) for port in range(80, 85)]
        with closing(Held(bare, most=3)) as held:
            for _ in range(2):
                held.reserve(*matches)
            assert said(caplog) == ["reserve left_out=2 reason='too few file descriptors: raise LimitNOFILE'"]
            assert sum(refused(bare, match) for match in matches) == 3
            held.reserve(*matches[-3:])
            assert [refused(bare, match) for match in matches] == [False, False, True, True, True]


class TestOneOwn:
    @pytest.mark.parametrize(("family", "protocol"), BOTH)
    def test_it_is_no_holder(self, held: Held, family: Family, protocol: Protocol) -> None:
        here, everywhere = Match(family, protocol, PORT, LOOPBACK[family]), Match(family, protocol, PORT)
        for match in (everywhere, here):
            held.reserve(match)
            assert held.holders(everywhere) == held.holders(here) == []
        with server(held.host, Match(family, protocol, PORT + 1)):
            assert len(held.holders(Match(family, protocol, PORT + 1))) == 1

    @pytest.mark.parametrize("family", Family)
    def test_it_takes_no_connection(self, held: Held, family: Family) -> None:
        held.reserve(Match(family, Protocol.TCP, PORT))
        traffic = send(held.host, Endpoint(LOOPBACK[family], PORT), 3, timeout=1)
        assert traffic.failures_by_kind == {FailureKind.REFUSED: 3}

    @pytest.mark.parametrize("family", Family)
    def test_no_datagram_waits_in_it(self, held: Held, family: Family) -> None:
        held.reserve(Match(family, Protocol.UDP, PORT))
        to = str(LOOPBACK[family]), PORT
        with held.host.run(socket.socket, SOCKETS[family], socket.SOCK_DGRAM) as sender:
            for _ in range(5):
                sender.sendto(b"x" * 1000, to)
        [(waiting, dropped)] = held.host.run(datagrams, family)
        assert (waiting, dropped) == (0, 5)


def datagrams(family: Family) -> list[tuple[int, int]]:
    """Tell of every UDP socket how many bytes wait in it, and how many datagrams were dropped."""
    table = Path("/proc/thread-self/net") / ("udp" if family is Family.IP else "udp6")
    rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()[1:]]
    return [(int(row[4].partition(":")[2], 16), int(row[-1])) for row in rows]


@pytest.fixture
def admin(lab: Lab, tmp_path: Path) -> Iterator[Admin]:
    with closing(Admin(lab, tmp_path)) as made:
        yield made


def served(lab: Lab, family: Family, protocol: Protocol) -> None:
    """Clients outside and the host itself reach all replicas."""
    client = lab.client
    at = lab.at(PORT) if family is Family.IP else lab.at6(PORT)
    for namespace in (client.namespace, lab.host):
        traffic = send(namespace, at, 60, protocol=protocol)
        assert (traffic.failures, set(traffic.answers)) == ((), set(lab.replicas))
        if namespace is client.namespace:
            assert traffic.clients == {client.address if family is Family.IP else client.address6}


class TestAgent:
    def test_clients_notice_nothing(self, admin: Admin) -> None:
        lab = admin.lab
        replicas = tuple(lab.replicas.values())
        for protocol in KINDS:
            admin.attach("web", f"{PORT}/{protocol}", *replicas)
        with ExitStack() as stack:
            talking = [
                stack.enter_context(Conversation(namespace, at, protocol=protocol))
                for namespace in (lab.client.namespace, lab.host)
                for at in (lab.at(PORT), lab.at6(PORT))
                for protocol in KINDS
            ]
            at_first = [conversation.ask() for conversation in talking]
            with admin.agent():
                assert all(refused(lab.host, Match(f, p, PORT), socket.SO_REUSEADDR) for f, p in BOTH)
                assert [conversation.ask() for conversation in talking] == at_first
                for family, protocol in BOTH:
                    served(lab, family, protocol)
            assert [conversation.ask() for conversation in talking] == at_first
        for family, protocol in BOTH:
            served(lab, family, protocol)
            assert not refused(lab.host, Match(family, protocol, PORT), socket.SO_REUSEADDR)

    @pytest.mark.parametrize("protocol", KINDS)
    def test_localhost_is_served_or_refused_at_once(self, admin: Admin, protocol: Protocol) -> None:
        lab = admin.lab
        admin.attach("web", f"{PORT}/{protocol}", *lab.replicas.values())
        with ExitStack() as stack:
            for agent in (None, admin.agent()):
                if agent is not None:
                    stack.enter_context(agent)
                served = send(lab.host, Endpoint(LOOPBACK[Family.IP], PORT), 20, protocol=protocol)
                assert served.failures == ()
                refusal = send(lab.host, Endpoint(LOOPBACK[Family.IP6], PORT), 3, protocol=protocol, timeout=1)
                assert refusal.failures_by_kind == {FailureKind.REFUSED: 3}

    def test_a_port_is_free_before_its_detach_returns(self, admin: Admin) -> None:
        lab = admin.lab
        matches = [Match(family, Protocol.TCP, port) for family in Family for port in (PORT, PORT + 1)]
        with admin.agent():
            for port in (PORT, PORT + 1):
                admin.attach("web", str(port), lab.replicas["replica-1"])
            assert [refused(lab.host, match) for match in matches] == [True] * 4
            admin.detach("web", str(PORT))
            assert [refused(lab.host, match) for match in matches] == [False, True, False, True]
            admin.detach("web")
            assert [refused(lab.host, match) for match in matches] == [False] * 4

    def test_its_death_frees_them(self, admin: Admin) -> None:
        match = Match(Family.IP, Protocol.TCP, PORT)
        admin.attach("web", str(PORT), *admin.lab.replicas.values())
        with admin.agent() as agent:
            assert refused(admin.lab.host, match)
            agent.process.kill()
            agent.process.wait()
            assert not refused(admin.lab.host, match)
        served(admin.lab, Family.IP, Protocol.TCP)

    def test_what_was_taken_by_force_is_held_once_it_is_free(self, admin: Admin) -> None:
        lab = admin.lab
        own = ReplicaServer("host itself", lab.host, PORT, ipv6=True)
        try:
            with admin.agent() as agent:
                words = ("attach", "web", str(PORT), "--endpoint", str(lab.replicas["replica-1"].endpoint))
                refusal = admin.netshare(*words)
                assert (refusal.code, "80/tcp is in use by" in refusal.err) == (4, True)
                done = admin.netshare(*words, "--force", "-o", "json")
                [warning] = done.document["warnings"]
                assert "80/tcp is in use by" in warning
                assert str(os.getpid()) in warning
                assert warning in done.err.replace("netshare: warning: ", "")
                assert send(lab.client.namespace, lab.at(PORT), 10).answers == {"replica-1": 10}
                for _ in range(2):
                    admin.client.sync()
                [line] = agent.said("reserve")
                assert line.startswith("WARNING reserve listener=80/tcp held_by=")
                own.stop()
                admin.client.sync()
                assert refused(lab.host, Match(Family.IP, Protocol.TCP, PORT), socket.SO_REUSEADDR)
                assert agent.said("reserve")[1:] == ["INFO reserve listener=80/tcp held_by='netshare'"]
        finally:
            own.stop()

    @pytest.mark.parametrize("protocol", KINDS)
    def test_a_second_attach_meets_the_service_and_not_the_agent(self, admin: Admin, protocol: Protocol) -> None:
        lab = admin.lab
        one, two, _ = lab.replicas.values()
        port = f"{PORT}/{protocol}"
        with admin.agent() as agent:
            admin.attach("web", port, one)
            admin.attach("web", port, one)
            with pytest.raises(PortConflictError, match=f"{port} belongs to service web"):
                admin.attach("api", port, two)
            admin.attach("api", port, two, listen=(lab.client.gateway,))
            assert send(lab.client.namespace, lab.at(PORT), 10, protocol=protocol).answers == {two.name: 10}
            admin.detach("web")
            assert refused(lab.host, Match(Family.IP, protocol, PORT))
            assert not refused(lab.host, Match(Family.IP, protocol, PORT, LOOPBACK[Family.IP]))
            admin.attach("web", port, one)
            assert refused(lab.host, Match(Family.IP, protocol, PORT, LOOPBACK[Family.IP]))
            assert agent.said("reserve") == []

"""Several listeners on one host: whose connection is whose, by address, protocol and port."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, nullcontext
from ipaddress import IPv4Interface, ip_address
from pathlib import Path

import pytest

from netshare.core.model import Endpoint, IPAddress, Protocol
from netshare.lab import links
from netshare.lab.conversation import Conversation, FailureKind
from netshare.lab.server import ReplicaServer
from netshare.lab.topology import Lab
from netshare.lab.traffic import send
from tests.netns.admin import Admin
from tests.netns.machine import unlimit_icmp

pytestmark = pytest.mark.netns

TCP, UDP = Protocol.TCP, Protocol.UDP
REQUESTS = 8


@pytest.fixture
def admin(lab: Lab, tmp_path: Path) -> Iterator[Admin]:
    unlimit_icmp(lab)
    with closing(Admin(lab, tmp_path)) as made:
        yield made


@pytest.fixture(params=["verbs alone", "agent"], autouse=True)
def agent(request: pytest.FixtureRequest, admin: Admin) -> Iterator[None]:
    """All of it with the agent, which holds the ports, and without."""
    with admin.agent() if request.param == "agent" else nullcontext():
        yield


def addresses(lab: Lab) -> list[IPAddress]:
    """Every address of the host that the client can reach."""
    client, network = lab.client, lab.network
    assert client.gateway6 is not None
    assert network.address6 is not None
    return [client.gateway, network.address, client.gateway6, network.address6]


def answers(lab: Lab, address: IPAddress, port: int, protocol: Protocol = TCP) -> set[str]:
    """Name who answers the client there; nobody means that all of them are refused at once."""
    sent = send(lab.client.namespace, Endpoint(address, port), REQUESTS, protocol=protocol, timeout=1)
    assert sent.failures_by_kind == ({} if sent.answers else {FailureKind.REFUSED: REQUESTS})
    return set(sent.answers)


class TestAddresses:
    @pytest.mark.parametrize("protocol", [TCP, UDP])
    @pytest.mark.parametrize("chosen", range(4))
    def test_one_address_only(self, admin: Admin, chosen: int, protocol: Protocol) -> None:
        lab = admin.lab
        everyone = addresses(lab)
        admin.attach("web", f"80/{protocol}", lab.replicas["replica-1"], listen=(everyone[chosen],))
        for address in everyone:
            expected = {"replica-1"} if address == everyone[chosen] else set()
            assert answers(lab, address, 80, protocol) == expected

    def test_what_the_host_itself_has_on_its_other_addresses_is_its_own(self, admin: Admin) -> None:
        lab = admin.lab
        own = ReplicaServer("host itself", lab.host, 80, ipv6=True)
        try:
            done = admin.netshare(
                "attach", "web", "80", "--listen", str(lab.client.gateway), "--endpoint", "172.30.0.10:8080", "--force"
            )
            assert done.code == 0, done
            seen = [answers(lab, address, 80) for address in addresses(lab)]
            assert seen == [{"replica-1"}, *[{"host itself"}] * 3]
        finally:
            own.stop()

    def test_several_addresses(self, admin: Admin) -> None:
        lab = admin.lab
        everyone = addresses(lab)
        admin.attach("web", "80", lab.replicas["replica-1"], listen=(everyone[0], everyone[3]))
        assert [answers(lab, address, 80) for address in everyone] == [{"replica-1"}, set(), set(), {"replica-1"}]

    @pytest.mark.parametrize("protocol", [TCP, UDP])
    def test_the_same_port_on_two_addresses_for_two_services(self, admin: Admin, protocol: Protocol) -> None:
        lab = admin.lab
        one, two, _ = lab.replicas.values()
        everyone = addresses(lab)
        admin.attach("web", f"80/{protocol}", one, listen=(everyone[0], everyone[2]))
        admin.attach("api", f"80/{protocol}", two, listen=(everyone[1], everyone[3]))
        assert [answers(lab, address, 80, protocol) for address in everyone] == [{one.name}, {two.name}] * 2
        admin.detach("web")
        assert [answers(lab, address, 80, protocol) for address in everyone] == [set(), {two.name}] * 2

    @pytest.mark.parametrize("bound_first", [True, False])
    def test_one_address_beside_every_address(self, admin: Admin, bound_first: bool) -> None:  # noqa: FBT001
        lab = admin.lab
        one, two, _ = lab.replicas.values()
        everyone = addresses(lab)
        steps: list[Callable[[], object]] = [
            lambda: admin.attach("web", "80", one, listen=(everyone[0],)),
            lambda: admin.attach("api", "80", two),
        ]
        for step in steps if bound_first else reversed(steps):
            step()
        assert [answers(lab, address, 80) for address in everyone] == [{one.name}, *[{two.name}] * 3]
        admin.detach("web")
        assert [answers(lab, address, 80) for address in everyone] == [{two.name}] * 4

    def test_an_address_that_comes_later(self, admin: Admin) -> None:
        lab = admin.lab
        later = ip_address("198.18.0.77")
        admin.attach("web", "80", lab.replicas["replica-1"], listen=(later,))
        lab.host.run(links.add_bridge, "later", [IPv4Interface(f"{later}/32")])
        assert answers(lab, later, 80) == {"replica-1"}


class TestPorts:
    def test_several_ports_of_one_service(self, admin: Admin) -> None:
        lab = admin.lab
        gateway = lab.client.gateway
        for port in (80, 443, 8443):
            admin.attach("web", str(port), lab.replicas["replica-1"])
        assert [answers(lab, gateway, port) for port in (80, 443, 8443, 81)] == [*[{"replica-1"}] * 3, set()]
        with ExitStack() as stack:
            talking = [
                stack.enter_context(Conversation(lab.client.namespace, lab.at(port))) for port in (80, 443, 8443)
            ]
            at_first = [conversation.ask() for conversation in talking]
            assert [str(listener) for listener in admin.detach("web", "443").left] == ["80/tcp", "8443/tcp"]
            assert [answers(lab, gateway, port) for port in (80, 443, 8443)] == [{"replica-1"}, set(), {"replica-1"}]
            assert [conversation.ask() for conversation in talking] == at_first
        admin.detach("web")
        assert [answers(lab, gateway, port) for port in (80, 443, 8443)] == [set()] * 3

    def test_tcp_and_udp_on_one_port(self, admin: Admin) -> None:
        lab = admin.lab
        for protocol in (TCP, UDP):
            admin.attach("dns", f"53/{protocol}", *lab.replicas.values())
        for address in addresses(lab):
            for protocol in (TCP, UDP):
                sent = send(lab.client.namespace, Endpoint(address, 53), 60, protocol=protocol)
                assert (sent.failures, set(sent.answers)) == ((), set(lab.replicas))
        admin.detach("dns", "53/tcp")
        for address in addresses(lab):
            assert answers(lab, address, 53) == set()
            assert answers(lab, address, 53, UDP)
        admin.detach("dns", "53/udp")
        assert answers(lab, lab.client.gateway, 53, UDP) == set()

    def test_tcp_and_udp_on_one_port_for_two_services(self, admin: Admin) -> None:
        lab = admin.lab
        one, two, _ = lab.replicas.values()
        admin.attach("web", "443/tcp", one)
        admin.attach("quic", "443/udp", two)
        for address in addresses(lab):
            assert [answers(lab, address, 443, protocol) for protocol in (TCP, UDP)] == [{one.name}, {two.name}]


class TestEphemeralPorts:
    """A listener on a port that the kernel also hands to outgoing connections."""

    PORT = 40005
    RANGE = range(40000, 40010)

    @pytest.fixture
    def narrow(self, lab: Lab) -> Iterator[ReplicaServer]:
        """Leave the host ten ports for what it asks of others; gives a server outside to ask."""
        path = Path("/proc/sys/net/ipv4/ip_local_port_range")
        lab.host.run(path.write_text, f"{self.RANGE[0]} {self.RANGE[-1]}", encoding="ascii")
        server = ReplicaServer("outside", lab.client.namespace, 9000, ipv6=True)
        yield server
        server.stop()

    @pytest.mark.parametrize("protocol", [TCP, UDP])
    def test_the_host_still_asks_others_from_all_the_other_ports(
        self, admin: Admin, narrow: ReplicaServer, protocol: Protocol
    ) -> None:
        lab = admin.lab
        outside = Endpoint(lab.client.address, narrow.port)
        admin.attach("web", f"{self.PORT}/{protocol}", lab.replicas["replica-1"])
        with ExitStack() as stack:
            talking = [
                stack.enter_context(Conversation(lab.host, outside, protocol=protocol))
                for _ in range(len(self.RANGE) - 1)
            ]
            said = [conversation.ask() for conversation in talking]
        assert {answer.replica for answer in said} == {"outside"}
        assert {answer.client.port for answer in said} <= set(self.RANGE)
        assert answers(lab, lab.client.gateway, self.PORT, protocol) == {"replica-1"}

    @pytest.mark.parametrize("protocol", [TCP, UDP])
    def test_what_the_host_asks_from_that_very_port_is_answered(
        self, admin: Admin, narrow: ReplicaServer, protocol: Protocol
    ) -> None:
        lab = admin.lab
        outside = Endpoint(lab.client.address, narrow.port)
        with ExitStack() as stack:
            talking = [stack.enter_context(Conversation(lab.host, outside, protocol=protocol)) for _ in self.RANGE]
            before = [conversation.ask() for conversation in talking]
            assert self.PORT in ports(answer.client for answer in before)
            admin.attach("web", f"{self.PORT}/{protocol}", lab.replicas["replica-1"])
            assert [conversation.ask() for conversation in talking] == before
            assert answers(lab, lab.client.gateway, self.PORT, protocol) == {"replica-1"}
            admin.detach("web")
            assert [conversation.ask() for conversation in talking] == before


def ports(endpoints: Iterable[Endpoint]) -> set[int]:
    return {endpoint.port for endpoint in endpoints}

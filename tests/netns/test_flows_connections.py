"""Connections whose replica is gone end with a reset at once, and no others end: with real packets."""

import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from netshare.core.model import Family, Listener, Protocol
from netshare.errors import EngineUnreachableError
from netshare.lab.namespace import Namespace
from netshare.lab.topology import Lab, LabReplica
from netshare.netfilter.flows import TrackedFlows
from netshare.netfilter.nftables.driver import NftablesDriver
from netshare.reconcile import reconcile
from tests.netns.connections import Clients
from tests.netns.machine import DNS, WEB, Machine, machine

pytestmark = pytest.mark.netns

_OWN_PORT = 9090
FAMILIES = pytest.mark.parametrize("family", Family)


@pytest.fixture
def host(lab: Lab, tmp_path: Path) -> Iterator[Machine]:
    with machine(lab, tmp_path) as made:
        yield made


@pytest.fixture
def clients(host: Machine) -> Iterator[Clients]:
    made = Clients(host)
    yield made
    made.close()


@FAMILIES
@pytest.mark.parametrize("others", [2, 0])
def test_a_client_that_only_waits_is_reset(host: Machine, clients: Clients, family: Family, others: int) -> None:
    """By another replica's RST; and where there is none, by the rule that refuses."""
    one, *rest = host.lab.replicas.values()
    host.share(WEB)
    for other in rest[others:]:
        host.vanish(other)
    host.reconcile()
    connected = clients.one_each(family)
    host.vanish(one)
    assert connected[one.name].is_waiting(), "a replica that vanishes tells nobody: else none of this were needed"
    assert host.reconcile().cleaned.ended >= 1
    assert connected.pop(one.name).is_reset()
    assert len(connected) == others
    assert all(client.goes_on() for client in connected.values())


@FAMILIES
@pytest.mark.parametrize("others", [2, 0])
def test_a_client_that_sends_is_reset_unasked(
    host: Machine, clients: Clients, family: Family, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netshare.netfilter.flows.challenge", list)
    one, *rest = host.lab.replicas.values()
    host.share(WEB)
    for other in rest[others:]:
        host.vanish(other)
    host.reconcile()
    client = clients.one_each(family)[one.name]
    host.vanish(one)
    assert host.reconcile().cleaned.ended >= 1
    assert client.is_waiting()
    client.socket.send(b"\n")
    assert client.is_reset()


def test_clients_everywhere_are_reset(host: Machine, clients: Clients) -> None:
    """Outside, on the host itself by its address and by 127.0.0.1, on the same bridge and on another."""
    one, two, _ = host.lab.replicas.values()
    container = host.lab.add_replica("container", network=host.lab.add_network())
    del host.lab.replicas[container.name]
    host.share(WEB)
    outside = host.at(Family.IP, 80).address
    connected = [
        clients.one_each()[one.name],
        clients.one_each(namespace=host.lab.host, at=outside)[one.name],
        clients.one_each(namespace=host.lab.host, at=ip_address("127.0.0.1"))[one.name],
        clients.one_each(namespace=two.namespace, at=host.gateway(Family.IP))[one.name],
        clients.one_each(namespace=container.namespace, at=host.gateway(Family.IP))[one.name],
    ]
    host.vanish(one)
    host.reconcile()
    assert all(client.is_reset() for client in connected)


def test_a_replica_that_drains_keeps_its_clients_until_it_is_gone(host: Machine, clients: Clients) -> None:
    one, *_ = host.lab.replicas.values()
    host.share(WEB)
    client = clients.one_each()[one.name]
    host.leave(one)
    assert host.reconcile().cleaned.ended == 0
    assert client.goes_on()
    host.vanish(one)
    assert host.reconcile().cleaned.ended >= 1
    assert client.is_reset()


@FAMILIES
def test_what_is_over_is_forgotten_once_a_replica_drains(host: Machine, clients: Clients, family: Family) -> None:
    """Else Docker would delete it when the container ends, by the client's port, whoever has that by then."""
    one, two, _ = host.lab.replicas.values()
    host.share(WEB)
    over, open_still = clients.one_each(family), clients.one_each(family)
    for client in over.values():
        client.socket.shutdown(socket.SHUT_WR)
        assert client.socket.recv(1) == b""

    def remembered(replica: LabReplica) -> int:
        own = {replica.address, replica.address6}
        return sum(endpoint.address in own for _, _, endpoint in host.tracked())

    assert (remembered(one) > 1, remembered(two) > 1) == (True, True)
    host.leave(one)
    assert host.reconcile().cleaned.ended == 0
    assert remembered(one) == 1
    assert remembered(two) > 1
    assert all(client.goes_on() for client in open_still.values())


@FAMILIES
def test_from_the_port_of_a_connection_that_was_reset_one_comes_to_another_replica(
    host: Machine, family: Family
) -> None:
    """Conntrack would send it the old way for ten seconds: only this state ignores the SYN of a new connection."""
    with ExitStack() as opened:
        listening = {opened.enter_context(_listening(each, family)): each for each in host.lab.replicas.values()}
        host.share(Listener(81, Protocol.TCP, to=_OWN_PORT))

        def reset_by(replicas: list[socket.socket]) -> LabReplica:
            client = opened.enter_context(_from_port(host.lab.client.namespace, family))
            client.connect((str(host.at(family, 81).address), 81))
            ready, _, _ = select.select(replicas, [], [], 5)
            answering, _ = ready[0].accept()
            answering.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            answering.close()
            with pytest.raises(ConnectionResetError):
                client.recv(1)
            client.close()
            return listening[ready[0]]

        first = reset_by([*listening])
        host.leave(first)
        host.reconcile()
        assert reset_by([each for each, replica in listening.items() if replica is not first]) is not first


def test_no_entry_is_left_of_a_client_that_was_reset(host: Machine, clients: Clients) -> None:
    """What the client is asked with begins no flow, which its next connection from that port would belong to."""
    one, *rest = host.lab.replicas.values()
    host.share(WEB)
    for other in rest:
        host.vanish(other)
    host.reconcile()
    client = clients.one_each()[one.name]
    host.vanish(one)
    host.reconcile()
    assert client.is_reset()
    assert host.tracked() == {}


def test_a_replica_that_says_goodbye(host: Machine, clients: Clients) -> None:
    """Its clients have been told, and what it said last is not lost on them."""
    one, *_ = host.lab.replicas.values()
    host.share(WEB)
    client = clients.one_each()[one.name]
    client.socket.send(b"\n")
    host.stop(one)
    host.reconcile()
    assert client.socket.recv(4096).count(b"\n") == 1
    assert client.socket.recv(1) == b""


def test_detach_cuts_nothing(host: Machine, clients: Clients) -> None:
    host.share(WEB)
    connected = clients.one_each()
    assert host.unshare().cleaned.ended == 0
    assert host.reconcile(thorough=True).cleaned.ended == 0
    assert all(client.goes_on() for client in connected.values())


def test_another_list_of_endpoints_cuts_nothing(host: Machine, clients: Clients) -> None:
    addresses = [each.address for each in host.lab.replicas.values()]
    host.share(WEB, name="static", to=addresses)
    connected = clients.one_each()
    assert host.share(WEB, name="static", to=addresses[:1]).cleaned.ended == 0
    assert host.reconcile(thorough=True).cleaned.ended == 0
    assert all(client.goes_on() for client in connected.values())


def test_other_ports_of_the_replicas_cut_nothing(host: Machine, clients: Clients) -> None:
    host.share(WEB)
    connected = clients.one_each()
    assert host.share(replace(WEB, to=9090)).cleaned.ended == 0
    assert all(client.goes_on() for client in connected.values())


def test_what_other_services_do_cuts_nothing(host: Machine, clients: Clients) -> None:
    host.share(WEB)
    connected = clients.one_each()
    static = [each.address for each in host.lab.replicas.values()]
    other = Listener(81, to=8080)
    host.share(other, DNS, name="static", to=static)
    assert set(clients.one_each(port=81)) == set(connected)
    host.share(other, name="static", to=static[:1])
    host.unshare("static")
    assert all(client.goes_on() for client in connected.values())


def test_the_restart_of_an_agent_cuts_nothing(host: Machine, clients: Clients) -> None:
    """A new process knows nothing, reads all of it back and looks at every flow."""
    host.share(WEB, DNS)
    connected = clients.one_each()
    host.leave(host.lab.replicas["replica-2"])
    host.reconcile()
    driver, flows = NftablesDriver(), TrackedFlows()
    again = replace(host.host, driver=driver, flows=flows)
    try:
        prepared = host.lab.host.run(reconcile, again, thorough=True)
        assert (prepared.change.is_empty, prepared.cleaned.ended) == (True, 0)
        host.lab.host.run(driver.remove_all)
        assert host.lab.host.run(reconcile, again, thorough=True).change.rebuild
    finally:
        driver.close()
        flows.close()
    assert all(client.goes_on() for client in connected.values())


def test_an_engine_that_is_silent_cuts_nothing(host: Machine, clients: Clients) -> None:
    """A draining replica's connections either: they are no longer in any slot."""
    host.share(WEB, DNS)
    connected = clients.one_each()
    host.leave(host.lab.replicas["replica-2"])
    host.reconcile()
    host.engine.failure = EngineUnreachableError("docker does not answer")
    for thorough in (False, True):
        assert host.reconcile(thorough=thorough).cleaned.ended == 0
    assert all(client.goes_on() for client in connected.values())
    host.engine.failure = None
    host.vanish(host.lab.replicas["replica-2"])
    assert host.reconcile().cleaned.ended >= 1
    assert connected.pop("replica-2").is_reset()
    assert all(client.goes_on() for client in connected.values())


def test_the_hosts_own_connections_on_the_port_are_its_own(host: Machine, clients: Clients) -> None:
    """It had them before the port was taken (``--force``)."""
    host.share(DNS)
    server = host.lab.host.run(socket.create_server, ("", 80))
    with server, host.lab.client.namespace.run(socket.socket) as before:
        before.settimeout(5)
        before.connect((str(host.at(Family.IP, 80).address), 80))
        with server.accept()[0] as own:
            host.share(WEB, DNS)
            host.reconcile(thorough=True)
            own.sendall(b"still here")
            assert before.recv(100) == b"still here"
            assert set(clients.one_each()) == set(host.lab.replicas)


def _listening(replica: LabReplica, family: Family) -> socket.socket:
    """Listen beside the replica's own server."""
    kind = socket.AF_INET if family is Family.IP else socket.AF_INET6
    made = replica.namespace.run(socket.socket, kind, socket.SOCK_STREAM)
    made.bind(("", _OWN_PORT))
    made.listen()
    return made


def _from_port(namespace: Namespace, family: Family) -> socket.socket:
    """Make a client that comes from the same port each time."""
    kind = socket.AF_INET if family is Family.IP else socket.AF_INET6
    made = namespace.run(socket.socket, kind, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("", 40_000))
    made.settimeout(5)
    return made

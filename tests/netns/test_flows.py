"""Flows that outlive what they were sent to, with real packets: a UDP client with one port that never stops sending."""

import json
import logging
import socket
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from netshare.agent.inbox import Hint, Inbox
from netshare.agent.loop import Loop
from netshare.core.model import Endpoint, Family, Listener, Protocol, Service
from netshare.errors import NetfilterError
from netshare.lab.server import ReplicaServer
from netshare.lab.topology import Lab, LabReplica
from netshare.netfilter.netlink import SUBSYSTEM_CONNTRACK, Message, Netlink
from netshare.reconcile import reconcile
from tests.netns.machine import DNS, WEB, Machine, again, machine
from tests.netns.sender import Sender
from tests.netns.waiting import until

pytestmark = pytest.mark.netns

FAMILIES = pytest.mark.parametrize("family", Family)


@pytest.fixture
def host(lab: Lab, tmp_path: Path) -> Iterator[Machine]:
    with machine(lab, tmp_path) as made:
        yield made


def sender(host: Machine, family: Family = Family.IP, port: int = 53) -> Sender:
    return Sender(host.lab.client.namespace, host.at(family, port))


def chosen(host: Machine, client: Sender) -> LabReplica:
    """Give the one replica that a client is answered by."""
    return host.lab.replicas[client.answerer()]


def delete(identities: Iterable[bytes]) -> None:
    """Delete IPv4 entries as the adapter does."""
    with Netlink(SUBSYSTEM_CONNTRACK) as netlink:
        netlink.perform(Message(2, 0, socket.AF_INET, identity, "an entry") for identity in identities)


@FAMILIES
def test_a_client_whose_replica_dies_is_answered_by_another(host: Machine, family: Family) -> None:
    host.share(DNS)
    with sender(host, family) as client:
        dead = chosen(host, client)
        host.vanish(dead)
        assert client.is_silent()
        assert host.reconcile().cleaned.ended == 1
        assert client.answerer() in host.lab.replicas


@FAMILIES
def test_an_agent_does_it_on_the_event(host: Machine, family: Family, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "netshare")
    inbox = Inbox()
    host.host.store.save(Service("replica", (DNS,)))
    running = host.lab.host.start_thread(Loop(host.host, inbox).run)
    try:
        until(lambda: bool(caplog.messages))
        with sender(host, family) as client:
            dead = chosen(host, client)
            host.vanish(dead)
            inbox.put(Hint("docker die"))
            assert client.answerer() in host.lab.replicas
    finally:
        inbox.close()
        running.result(timeout=10)
    assert " flows_ended=1 " in caplog.messages[-1]


def test_a_client_stays_with_a_replica_that_drains_and_moves_when_it_is_gone(host: Machine) -> None:
    host.share(DNS)
    with sender(host) as client:
        draining = chosen(host, client)
        host.leave(draining)
        assert host.reconcile().cleaned.ended == 0
        assert client.answerer() == draining.name
        host.vanish(draining)
        assert host.reconcile().cleaned.ended == 1
        assert client.answerer() in host.lab.replicas


@FAMILIES
def test_from_one_replica_to_none_to_one(host: Machine, family: Family) -> None:
    one, two, three = host.lab.replicas.values()
    host.share(DNS)
    host.vanish(two)
    host.vanish(three)
    host.reconcile()
    with sender(host, family) as client:
        assert client.answerer() == one.name
        host.vanish(one)
        assert host.reconcile().cleaned.ended == 1
        assert client.is_refused()
        added = host.start()
        host.reconcile()
        assert client.answerer() == added.name


@FAMILIES
def test_a_client_that_sent_before_there_was_a_service(host: Machine, family: Family) -> None:
    host.share(WEB)
    with sender(host, family) as client:
        assert client.is_refused()
        assert host.share(WEB, DNS).cleaned.ended == 1
        assert client.answerer() in host.lab.replicas


@FAMILIES
def test_a_client_that_sent_before_anything_was_tracked(host: Machine, family: Family) -> None:
    """The kernel tracks flows only where some rule needs it: netshare's are this host's first."""
    with sender(host, family) as client:
        assert client.is_refused()
        assert host.share(DNS).cleaned.ended == 0
        assert client.answerer() in host.lab.replicas


def test_a_client_that_was_answered_by_the_host_itself(host: Machine) -> None:
    host.share(WEB)
    own = ReplicaServer("own", host.lab.host, 53, ipv6=True)
    try:
        with sender(host) as client:
            assert client.answerer() == "own"
            assert host.share(WEB, DNS).cleaned.ended == 1
            assert client.answerer() in host.lab.replicas
            assert host.share(WEB).cleaned.ended == 1
            assert client.answerer() == "own"
    finally:
        own.stop()


def test_a_process_of_the_host_that_answers_late(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer comes when the flow is gone already, and begins one from the host to the client."""
    host.share(WEB)
    outside = host.lab.client.namespace
    with (
        host.lab.host.run(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as own,
        outside.run(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        for each in (own, client):
            each.settimeout(1)
        own.bind(("", 53))
        client.connect((str(host.at(Family.IP, 53).address), 53))
        client.send(b"\n")
        _, asking = own.recvfrom(100)
        late = SimpleNamespace(sleep=lambda _: own.sendto(b"late", asking))
        monkeypatch.setattr("netshare.netfilter.flows.time", late)
        assert host.share(WEB, DNS).cleaned.ended == 1
        assert client.recv(100) == b"late"
        client.send(b"\n")
        assert json.loads(client.recv(100))["replica"] in host.lab.replicas


def test_a_client_of_a_service_that_is_deleted(host: Machine) -> None:
    host.share(DNS)
    with sender(host) as client:
        replica = chosen(host, client)
        assert host.unshare().cleaned.ended == 1
        assert client.is_refused()
        answered = replica.server.datagrams_total
        assert client.is_refused()
        assert replica.server.datagrams_total == answered
        host.share(DNS)
        assert client.answerer() in host.lab.replicas


def test_a_replica_replaced_on_the_same_address_needs_nothing(host: Machine) -> None:
    host.share(DNS)
    with sender(host) as client:
        replica = chosen(host, client)
        table = host.tracked()
        successor = again(replica, "successor")
        try:
            host.engine.running = [
                replace(c, id="another", name="replica-9") if c.name == replica.name else c for c in host.engine.running
            ]
            prepared = host.reconcile()
            assert (prepared.change.is_empty, prepared.cleaned.ended) == (True, 0)
            assert client.answerer() == "successor"
            assert table.items() <= host.tracked().items()
        finally:
            successor.stop()


def test_a_static_service_that_drops_an_endpoint(host: Machine) -> None:
    one, two, _ = host.lab.replicas.values()
    host.share(DNS, name="static", to=[one.address])
    with sender(host) as client:
        assert client.answerer() == one.name
        assert host.share(DNS, name="static", to=[two.address]).cleaned.ended == 1
        assert client.answerer() == two.name


def test_a_listener_on_one_address_takes_over_from_one_on_all_and_back(host: Machine) -> None:
    one, two, _ = host.lab.replicas.values()
    host.share(DNS, name="all", to=[one.address])
    bound = replace(DNS, address=host.at(Family.IP, 53).address)
    elsewhere = Endpoint(host.gateway(Family.IP), 53)
    with sender(host) as client, Sender(host.lab.client.namespace, elsewhere, port=40_001) as other:
        assert client.answerer() == other.answerer() == one.name
        assert host.share(bound, name="bound", to=[two.address]).cleaned.ended == 1
        assert client.answerer() == two.name
        assert other.answerer() == one.name
        assert host.unshare("bound").cleaned.ended == 1
        assert client.answerer() == one.name


def test_others_flows_are_left_alone(host: Machine) -> None:
    """Packets that the host forwards to a port of that number elsewhere."""
    replica = host.lab.replicas["replica-1"]
    listener = Listener(8080, Protocol.UDP)
    host.share(WEB, name="static", to=[replica.address])
    with (
        Sender(host.lab.client.namespace, replica.endpoint) as through,
        Sender(host.lab.client.namespace, host.at(Family.IP, 8080), port=40_001) as client,
    ):
        assert through.answerer() == replica.name
        assert client.is_refused()
        table = {ends: entry for ends, entry in host.tracked().items() if ends[1] == replica.endpoint}
        assert len(table) == 1
        assert host.share(listener).cleaned.ended == 1
        assert client.answerer() in host.lab.replicas
        assert host.reconcile(thorough=True).cleaned.ended == 0
        assert host.unshare().cleaned.ended == 1
        assert client.is_refused()
        assert through.answerer() == replica.name
        assert table.items() <= host.tracked().items()


def test_what_was_left_behind_is_found_by_a_thorough_look(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was killed between its change and this, and the agent that is started then."""
    host.share(DNS, WEB)
    with sender(host) as client:
        dead = chosen(host, client)
        host.vanish(dead)
        with monkeypatch.context() as patch:
            patch.setattr(type(host.host.flows), "end", lambda *_: ())
            host.reconcile()
        assert host.reconcile().cleaned.ended == 0
        assert client.is_silent()
        assert host.reconcile(thorough=True).cleaned.ended == 1
        assert client.answerer() in host.lab.replicas
        with monkeypatch.context() as patch:
            patch.setattr(type(host.host.flows), "end", lambda *_: ())
            host.share(WEB)
        assert client.answerer()
        assert host.reconcile(thorough=True).cleaned.ended == 1
        assert client.is_refused()


def test_the_table_is_read_once_at_most_and_not_without_need(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    dumps: list[str] = []
    real = Netlink.pick

    def counted(self: Netlink, *args: object, about: str) -> list[object]:
        if about == "the tracked flows":
            dumps.append(about)
        return real(self, *args, about=about)  # type: ignore[arg-type]

    monkeypatch.setattr(Netlink, "pick", counted)

    def looks() -> int:
        seen = len(dumps)
        dumps.clear()
        return seen

    host.share(DNS, WEB)
    assert looks() == 1
    with sender(host) as client:
        dead = chosen(host, client)
        host.reconcile()
        assert looks() == 0
        host.vanish(dead)
        assert host.reconcile().cleaned.ended == 1
        assert looks() == 1
        host.share(WEB)
        assert looks() == 1
        host.start()
        host.reconcile()
        assert looks() == 0
        host.reconcile()
        assert looks() == 0


def test_an_entry_that_ended_meanwhile_is_no_error(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    host.share(DNS)
    with sender(host) as client:
        chosen(host, client)
        real = Netlink.perform
        monkeypatch.setattr(Netlink, "perform", lambda self, messages: [real(self, [m, m]) for m in messages])
        assert host.unshare().cleaned.ended == 1
        assert client.is_refused()


def test_another_flow_of_the_same_ends_is_not_taken_for_it(host: Machine) -> None:
    """Between the look and the deletion the entry ended, and the client's next datagram made a new one."""
    one, two, _ = host.lab.replicas.values()
    host.share(DNS, name="static", to=[one.address])
    with sender(host) as client:
        assert client.answerer() == one.name
        stale = list(host.tracked().values())
        host.share(DNS, name="static", to=[two.address])
        assert client.answerer() == two.name
        fresh = host.tracked()
        host.lab.host.run(delete, stale)
        assert client.answerer() == two.name
        assert fresh == host.tracked()


def test_a_kernel_that_refuses_is_told_of_and_takes_nothing_back(
    host: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise NetfilterError("the kernel refused the end of a udp flow")

    host.share(DNS)
    with sender(host) as client:
        chosen(host, client)
        monkeypatch.setattr(Netlink, "perform", refuse)
        host.host.store.delete("replica")
        cleaned = host.lab.host.run(reconcile, host.host).cleaned
        assert isinstance(cleaned.problem, NetfilterError)
        assert host.host.driver.observe().ruleset.dispatches == {}

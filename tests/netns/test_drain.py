"""Replicas that drain, with real packets: who is still served, who is not, and who is cut off when it is time."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from netshare.core.model import Endpoint, Family, Listener
from netshare.lab.topology import Lab
from netshare.lab.traffic import send
from netshare.netfilter.conntrack import TrackedConnections
from netshare.operations.drain import drain, resume
from netshare.operations.draining import End, wait
from netshare.store.drains import DrainStore
from tests.fakes.host import FakeAgent
from tests.netns.admin import Admin
from tests.netns.connections import Clients
from tests.netns.machine import DNS, WEB, Machine, machine
from tests.netns.sender import Sender
from tests.netns.waiting import until

pytestmark = pytest.mark.netns

FAMILIES = pytest.mark.parametrize("family", Family)


class Clock:
    """The machine's time, and as much more as a test likes."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Drainer:
    """A machine whose replicas are drained; its service is called ``replica``, as they are."""

    def __init__(self, made: Machine, directory: Path) -> None:
        self.clock = Clock()
        self.machine = made
        made.host = replace(made.host, drains=DrainStore(directory / "drains.json", clock=self.clock))
        self.agent = FakeAgent(made.host)

    def drain(self, *words: str, timeout: float = 10.0) -> None:
        drained = self.machine.lab.host.run(drain, self.machine.host, self.agent, "replica", words, timeout=timeout)
        assert len(drained.drains) == len(words)

    def resume(self, *words: str) -> None:
        self.machine.lab.host.run(resume, self.machine.host, self.agent, "replica", words)

    def pass_(self, seconds: float) -> int:
        """Let time pass, and tell how many flows have ended."""
        self.clock.ahead += seconds
        return self.machine.reconcile().cleaned.ended

    def answerers(self, family: Family = Family.IP) -> set[str]:
        """Connect anew, often."""
        sent = send(self.machine.lab.client.namespace, self.machine.at(family, 80), 40, timeout=2)
        assert not sent.failures
        return set(sent.answers)


@pytest.fixture
def drainer(lab: Lab, tmp_path: Path) -> Iterator[Drainer]:
    with machine(lab, tmp_path) as made:
        yield Drainer(made, tmp_path)


@pytest.fixture
def clients(drainer: Drainer) -> Iterator[Clients]:
    made = Clients(drainer.machine)
    yield made
    made.close()


@FAMILIES
def test_what_is_open_goes_on_and_what_is_new_goes_elsewhere_until_it_is_cut(
    drainer: Drainer, clients: Clients, family: Family
) -> None:
    drainer.machine.share(WEB)
    connected = clients.one_each(family)
    drainer.drain("replica-1")
    assert drainer.answerers(family) == {"replica-2", "replica-3"}
    assert drainer.pass_(9.0) == 0
    assert all(client.goes_on() for client in connected.values())
    assert drainer.pass_(1.0) == 1
    assert connected.pop("replica-1").is_reset()
    assert all(client.goes_on() for client in connected.values())
    assert drainer.pass_(10.0) == 0
    drainer.resume("replica-1")
    assert drainer.answerers(family) == {"replica-1", "replica-2", "replica-3"}


def test_clients_everywhere_are_cut(drainer: Drainer, clients: Clients) -> None:
    """Outside, on the host itself by its address and by 127.0.0.1, and on the same bridge."""
    host = drainer.machine
    host.share(WEB)
    outside = host.at(Family.IP, 80).address
    neighbour = host.lab.replicas["replica-2"].namespace
    connected = [
        clients.one_each()["replica-1"],
        clients.one_each(namespace=host.lab.host, at=outside)["replica-1"],
        clients.one_each(namespace=host.lab.host, at=ip_address("127.0.0.1"))["replica-1"],
        clients.one_each(namespace=neighbour, at=host.gateway(Family.IP))["replica-1"],
    ]
    drainer.drain("replica-1")
    assert all(client.goes_on() for client in connected)
    drainer.pass_(10.0)
    assert all(client.is_reset() for client in connected)


def test_all_of_them_refuse_what_is_new_and_go_on_with_what_is_open(drainer: Drainer, clients: Clients) -> None:
    drainer.machine.share(WEB)
    connected = clients.one_each()
    drainer.drain("replica-1", "replica-2", "replica-3")
    sent = send(drainer.machine.lab.client.namespace, drainer.machine.at(Family.IP, 80), 5, timeout=2)
    assert {failure.kind for failure in sent.failures} == {"refused"}
    assert all(client.goes_on() for client in connected.values())
    assert drainer.pass_(10.0) >= 3
    assert all(client.is_reset() for client in connected.values())


def test_two_at_once_each_by_its_own_deadline(drainer: Drainer, clients: Clients) -> None:
    drainer.machine.share(WEB)
    connected = clients.one_each()
    drainer.drain("replica-1", timeout=5.0)
    drainer.drain("replica-2", timeout=8.0)
    drainer.pass_(5.0)
    assert connected["replica-1"].is_reset()
    assert connected["replica-2"].goes_on()
    drainer.pass_(3.0)
    assert connected["replica-2"].is_reset()
    assert connected["replica-3"].goes_on()


@FAMILIES
def test_a_datagram_client_stays_until_the_deadline_and_moves_then(drainer: Drainer, family: Family) -> None:
    drainer.machine.share(DNS)
    with Sender(drainer.machine.lab.client.namespace, drainer.machine.at(family, 53)) as client:
        first = client.answerer()
        drainer.drain(first)
        drainer.pass_(9.0)
        assert client.answerer() == first
        assert drainer.pass_(1.0) == 1
        assert client.answerer() in set(drainer.machine.lab.replicas) - {first}


def test_another_service_of_the_same_replica_is_not_touched(drainer: Drainer, clients: Clients) -> None:
    host = drainer.machine
    host.share(WEB)
    replicas = [each.address for each in host.lab.replicas.values()]
    host.share(replace(WEB, port=81), name="static", to=replicas)
    other = clients.one_each(port=81)
    own = clients.one_each()
    drainer.drain("replica-1")
    at_one = Endpoint(replicas[0], 8080)
    ways = host.lab.host.run(TrackedConnections().by_way)
    assert {port for _, port, endpoint in ways if endpoint == at_one} == {80, 81}
    drainer.pass_(10.0)
    assert own["replica-1"].is_reset()
    assert all(client.goes_on() for client in other.values())
    assert set(clients.one_each(port=81)) == set(host.lab.replicas)


def test_the_replicas_side_of_what_was_cut_ends_when_it_next_sends(drainer: Drainer) -> None:
    """Else a server that goes on living would keep its half of the connection for good."""
    host = drainer.machine
    one, to = host.lab.replicas["replica-1"], host.at(Family.IP, 80)
    with one.namespace.run(socket.create_server, ("", 9090)) as server:
        host.share(Listener(80, to=9090), to=[one.address])
        client = host.lab.client.namespace.run(socket.create_connection, (str(to.address), to.port))
        with client, server.accept()[0] as served:
            drainer.drain(str(one.address))
            assert drainer.pass_(10.0) == 1
            client.settimeout(5)
            with pytest.raises(ConnectionResetError):
                client.recv(1)
            served.settimeout(5)
            served.sendall(b"anybody there?")
            with pytest.raises(ConnectionResetError):
                served.recv(1)


def test_a_wait_counts_what_the_kernel_tracks(drainer: Drainer, clients: Clients) -> None:
    """It ends when the last client has gone, of its own accord, and not before."""
    host = drainer.machine
    host.share(WEB)
    leaving = clients.one_each()["replica-1"]
    drainer.drain("replica-1")
    counts: list[int] = []

    def shown(connections: int) -> None:
        counts.append(connections)
        if len(counts) == 3:
            leaving.socket.close()

    ended = host.lab.host.run(
        wait,
        host.host,
        drainer.agent,
        TrackedConnections(),
        host.host.drains.load(),
        clock=time,
        progress=lambda remaining: shown(remaining.replicas[0].connections),
    )
    assert [(each.replica, each.how) for each in ended] == [("replica-1", End.EMPTY)]
    assert counts[:3] == [counts[0]] * 3
    assert counts[0] >= 1


# --- as programs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def admin(lab: Lab, tmp_path: Path) -> Iterator[Admin]:
    admin = Admin(lab, tmp_path)
    admin.attach("web", "80", *lab.replicas.values())
    yield admin
    admin.close()


@pytest.fixture
def callers(admin: Admin, tmp_path: Path) -> Iterator[Clients]:
    with machine(admin.lab, tmp_path) as made:
        clients = Clients(made)
        yield clients
        clients.close()


def seconds_left(admin: Admin, name: str) -> float:
    document = json.loads(admin.netshare("status", "web", "-o", "json").out)
    [replica] = [each for each in document["services"][0]["replicas"] if each["name"] == name]
    assert replica["state"] == "draining"
    return float(replica["drain"]["seconds_left"])


def test_a_drain_and_its_deadline_outlive_an_agent_that_is_killed(admin: Admin, callers: Clients) -> None:
    one = next(iter(admin.lab.replicas.values()))
    client = callers.one_each()[one.name]
    with admin.agent() as agent:
        began = time.monotonic()
        done = admin.netshare("drain", "web", str(one.endpoint), "--timeout", "6s")
        assert (done.code, done.err) == (0, ""), done
        agent.process.send_signal(signal.SIGKILL)
        agent.process.wait()
    assert seconds_left(admin, str(one.endpoint)) < 6
    with admin.agent() as successor:
        assert client.goes_on()
        sent = send(admin.lab.client.namespace, admin.lab.at(80), 40, timeout=2)
        assert one.name not in sent.answers
        assert client.is_reset(seconds=10)
        assert time.monotonic() - began >= 6, "the successor has cut it before its time"
        until(lambda: bool(successor.said("deadline=over cut=1")))
    done = admin.netshare("resume", "web", str(one.endpoint))
    assert done.code == 0, done
    assert one.name in send(admin.lab.client.namespace, admin.lab.at(80), 60, timeout=2).answers


def test_waiting_on_a_terminal_is_one_line_that_counts_down(admin: Admin, callers: Clients) -> None:
    """With no agent: the verb itself keeps the deadline, and says by its exit code that somebody was cut off."""
    one = next(iter(admin.lab.replicas.values()))
    client = callers.one_each()[one.name]
    with admin.terminal("drain", "web", str(one.endpoint), "--wait", "--timeout", "3s") as terminal:
        terminal.until(lambda lines: any(f"web: {one.endpoint} drains: " in line for line in lines))
        terminal.until(lambda lines: any("2 s to go" in line for line in lines))
        assert client.goes_on()
        terminal.until(lambda lines: any("1 s to go" in line for line in lines))
        assert sum("to go" in line for line in terminal.lines) == 1
        assert terminal.end() == 8
    said = "\n".join(terminal.lines)
    assert f"web: {one.endpoint} has no connections left after 3." in said
    assert "cut at the deadline" in said
    assert client.is_reset()


def test_waiting_elsewhere_is_a_line_now_and_then_and_ends_with_the_last_connection(
    admin: Admin, callers: Clients
) -> None:
    one = next(iter(admin.lab.replicas.values()))
    client = callers.one_each()[one.name]
    with admin.agent():
        process = admin.start("drain", "web", str(one.endpoint), "--wait", "--timeout", "none")
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith(f"netshare: web: {one.endpoint} drains: ")
            client.socket.close()
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, err) == (0, "")
    assert out.startswith(f"web: {one.endpoint} has no connections left after ")


def test_two_drains_at_the_same_moment_are_two(admin: Admin) -> None:
    one, two, three = admin.lab.replicas.values()
    running = [admin.start("drain", "web", str(each.endpoint)) for each in (one, two)]
    for process in running:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert all(seconds_left(admin, str(each.endpoint)) > 0 for each in (one, two))
    assert set(send(admin.lab.client.namespace, admin.lab.at(80), 20, timeout=2).answers) == {three.name}


def test_a_wait_that_is_interrupted_leaves_the_drain(admin: Admin, callers: Clients) -> None:
    one = next(iter(admin.lab.replicas.values()))
    client = callers.one_each()[one.name]
    with admin.terminal("drain", "web", str(one.endpoint), "--wait", size=(200, 24)) as terminal:
        terminal.until(lambda lines: any("s to go" in line for line in lines))
        terminal.type("\x03")
        assert terminal.end() == 130
    assert any("stays drained" in line for line in terminal.lines)
    assert seconds_left(admin, str(one.endpoint)) <= 30
    assert client.goes_on()


def test_an_endpoint_is_what_it_is(admin: Admin) -> None:
    """The file is for its owner to write, and for all to read; without a drain there is none."""
    one = next(iter(admin.lab.replicas.values()))
    path = Path(admin.client._directory) / "drains.json"  # noqa: SLF001 (where the agent is looked for)
    assert admin.netshare("drain", "web", str(one.endpoint)).code == 0
    assert path.stat().st_mode & 0o777 == 0o644
    assert path.stat().st_uid == os.getuid()
    assert admin.netshare("resume", "web", str(one.endpoint)).code == 0
    assert not path.exists()

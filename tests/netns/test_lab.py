"""The lab itself: were it wrong, no other test here would mean anything."""

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netshare.core.model import Endpoint, Protocol
from netshare.errors import NotPermittedError
from netshare.lab import links
from netshare.lab.conversation import ClosedError, Conversation, FailureKind
from netshare.lab.namespace import Namespace
from netshare.lab.privileges import enter_user_namespace, gain_privileges, may_build_networks
from netshare.lab.topology import Lab
from netshare.lab.traffic import Load, send
from tests.prerequisites import require, root

pytestmark = pytest.mark.netns

_NOBODY = 65534
_PR_SET_DUMPABLE = 4


def _network() -> str:
    return str(Path("/proc/thread-self/ns/net").readlink())


def _descriptors() -> set[str]:
    """What this process has open, but for the directory this reads."""
    opened = ((entry.name, str(entry.readlink())) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())
    return {f"{name} {target}" for name, target in opened if not target.endswith("/fd")}


def _networks_in_use() -> set[str]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ends meanwhile is in none
            found.add(str((task / "ns/net").readlink()))
    return found


class TestNamespace:
    def test_is_its_worker_threads_alone(self) -> None:
        before = _network()
        namespace = Namespace("probe")
        try:
            assert namespace.run(_network) != before
            assert namespace.run(_network) == str(Path(namespace.path).readlink())
            assert namespace.run(links.names) == {"lo"}
            assert _network() == before
        finally:
            namespace.close()

    def test_run_returns_results_and_raises_exceptions(self, lab: Lab) -> None:
        assert lab.host.run(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            lab.host.run(divmod, 7, 0)
        with pytest.raises(LookupError, match="no link is called nonesuch"):
            lab.host.run(links.delete_link, "nonesuch")

    def test_run_within_run_does_not_wait_for_itself(self, lab: Lab) -> None:
        assert lab.host.run(lambda: lab.host.run(_network)) == lab.host.run(_network)

    def test_threads_and_programs_start_inside(self, lab: Lab) -> None:
        inside = lab.host.run(_network)
        assert lab.host.start_thread(_network).result(timeout=10) == inside
        code = "import os; print(os.readlink('/proc/self/ns/net'))"
        with lab.host.popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as program:
            assert program.communicate(timeout=30)[0].strip() == inside

    def test_a_thread_inside_does_not_wait_for_the_worker(self, lab: Lab) -> None:
        started, let_go = threading.Event(), threading.Event()
        busy = lab.host.pool(1).submit(lab.host.run, _network)
        assert busy.result(timeout=10) == lab.host.run(_network)

        def occupy() -> None:
            started.set()
            let_go.wait(timeout=10)

        caller = threading.Thread(target=lab.host.run, args=(occupy,))
        caller.start()
        try:
            assert started.wait(timeout=10)
            assert lab.host.start_thread(lab.host.run, _network).result(timeout=10) != _network()
        finally:
            let_go.set()
            caller.join()

    def test_sysctls_are_the_namespaces_own(self, lab: Lab) -> None:
        forwarding = Path("/proc/sys/net/ipv4/ip_forward")
        before = forwarding.read_text(encoding="ascii")
        links_of_machine = links.names()
        assert lab.host.run(forwarding.read_text, encoding="ascii") == "1\n"
        lab.client.namespace.run(links.write_sysctls, [("ipv4/ip_forward", 0)])
        assert lab.host.run(forwarding.read_text, encoding="ascii") == "1\n"
        assert forwarding.read_text(encoding="ascii") == before
        assert links_of_machine.isdisjoint({"br0", "client1", "replica1"})


class TestDirectTraffic:
    def test_ipv4_through_the_host(self, lab: Lab) -> None:
        for replica in lab.replicas.values():
            traffic = send(lab.client.namespace, replica.endpoint, 50)
            assert (traffic.answers, traffic.failures) == ({replica.name: 50}, ())
            assert traffic.clients == {lab.client.address}

    def test_ipv6_through_the_host(self, lab: Lab) -> None:
        if not lab.ipv6:
            pytest.skip("this kernel has no IPv6")
        for replica in lab.replicas.values():
            traffic = send(lab.client.namespace, replica.endpoint6, 50)
            assert (traffic.answers, traffic.failures) == ({replica.name: 50}, ())
            assert traffic.clients == {lab.client.address6}

    def test_udp(self, lab: Lab) -> None:
        replica = lab.replicas["replica-2"]
        traffic = send(lab.client.namespace, replica.endpoint, 100, protocol=Protocol.UDP)
        assert (traffic.answers, traffic.failures) == ({"replica-2": 100}, ())
        assert replica.server.datagrams_total == 100

    def test_between_replicas_and_from_the_host(self, lab: Lab) -> None:
        one, two, _ = lab.replicas.values()
        assert send(one.namespace, two.endpoint, 5).clients == {one.address}
        assert send(lab.host, two.endpoint, 5).clients == {lab.network.address}
        assert send(two.namespace, two.endpoint, 5).clients == {two.address}

    def test_a_second_client_and_a_second_network(self, lab: Lab) -> None:
        client = lab.add_client()
        replica = lab.add_replica("elsewhere", network=lab.add_network())
        traffic = send(client.namespace, replica.endpoint, 5)
        assert traffic.answers == {"elsewhere": 5}
        assert traffic.clients == {client.address}

    def test_thousands_of_connections(self, lab: Lab) -> None:
        replica = lab.replicas["replica-1"]
        traffic = send(lab.client.namespace, replica.endpoint, 5000, concurrency=32, timeout=10)
        assert (traffic.answers, traffic.failures) == ({"replica-1": 5000}, ())
        assert replica.server.connections_total == 5000

    def test_a_conversation_stays_with_its_replica_and_sees_itself(self, lab: Lab) -> None:
        replica = lab.replicas["replica-3"]
        with Conversation(lab.client.namespace, replica.endpoint) as conversation:
            answers = {conversation.ask() for _ in range(20)}
            assert [(a.replica, a.client) for a in answers] == [("replica-3", conversation.local)]
            assert replica.server.connections_active == 1
        _until(lambda: replica.server.connections_active == 0)


class TestFailures:
    def test_refused(self, lab: Lab) -> None:
        traffic = send(lab.client.namespace, lab.at(80), 20)
        assert (traffic.requests, traffic.failures_by_kind) == (20, {FailureKind.REFUSED: 20})

    def test_unreachable_and_timeout(self, lab: Lab) -> None:
        lab.client.namespace.run(links.delete_link, "eth0")
        nowhere = lab.replicas["replica-1"].endpoint
        assert send(lab.client.namespace, nowhere, 1).failures_by_kind == {FailureKind.UNREACHABLE: 1}
        lab.host.run(links.write_sysctls, [("ipv4/ip_forward", 0)])
        silent = lab.add_client()
        traffic = send(silent.namespace, nowhere, 1, timeout=0.2)
        assert traffic.failures_by_kind == {FailureKind.TIMEOUT: 1}

    def test_a_replica_that_stops_ends_its_conversations_and_refuses(self, lab: Lab) -> None:
        replica = lab.replicas["replica-1"]
        with Conversation(lab.client.namespace, replica.endpoint) as conversation:
            conversation.ask()
            replica.server.stop()
            with pytest.raises(ClosedError):
                conversation.ask()
        assert send(lab.client.namespace, replica.endpoint, 3).failures_by_kind == {FailureKind.REFUSED: 3}

    def test_any_other_error_is_the_labs_own_fault(self, lab: Lab) -> None:
        broadcast = Endpoint(IPv4Address("172.30.0.255"), 8080)
        with pytest.raises(PermissionError):
            send(lab.host, broadcast, 1, protocol=Protocol.UDP)


class TestLoad:
    def test_keeps_to_its_total_and_rate(self, lab: Lab) -> None:
        traffic = Load(lab.client.namespace, lab.replicas["replica-1"].endpoint, total=30, rate=100).wait()
        assert traffic.answers == {"replica-1": 30}
        assert traffic.seconds >= 0.29

    def test_stops_when_told_and_notes_the_gap(self, lab: Lab) -> None:
        replica = lab.replicas["replica-1"]
        load = Load(lab.client.namespace, replica.endpoint, total=100_000, rate=200, timeout=0.5)
        _until(lambda: replica.server.connections_total >= 20)
        lab.host.run(links.delete_link, replica.link)
        time.sleep(0.3)
        traffic = load.stop()
        assert 20 <= traffic.answers["replica-1"] < 100_000
        assert traffic.failures
        assert traffic.longest_gap >= 0.3


class TestCleanUp:
    def test_leaves_no_thread_no_descriptor_and_no_namespace(self) -> None:
        before = _networks_in_use()  # a lab of the whole session may be among them
        threads, descriptors = set(threading.enumerate()), _descriptors()
        with Lab() as lab:
            send(lab.client.namespace, lab.replicas["replica-1"].endpoint, 100)
            assert len(_networks_in_use() - before) == 5
        assert set(threading.enumerate()) == threads
        assert _descriptors() == descriptors
        _until(lambda: _networks_in_use() <= before)

    def test_also_after_an_error_inside(self) -> None:
        threads, descriptors = set(threading.enumerate()), _descriptors()
        with pytest.raises(KeyError), Lab(replicas=1) as lab:
            lab.remove_replica("nonesuch")
        assert set(threading.enumerate()) == threads
        assert _descriptors() == descriptors

    def test_also_after_an_error_while_building(self, monkeypatch: pytest.MonkeyPatch) -> None:
        threads, descriptors = set(threading.enumerate()), _descriptors()
        with pytest.raises(OverflowError), Lab(replicas=1, port=70_000):
            pytest.fail("port 70000 was bound")
        monkeypatch.setattr(links, "_PROC_SYS_NET", Path("/proc/nonesuch"))
        with pytest.raises(FileNotFoundError), Lab():
            pytest.fail("a sysctl was not set")
        assert set(threading.enumerate()) == threads
        assert _descriptors() == descriptors

    def test_a_removed_replica_vanishes_with_its_link(self, lab: Lab) -> None:
        inside = lab.replicas["replica-2"].namespace.run(_network)
        assert "replica2" in lab.host.run(links.names)
        lab.remove_replica("replica-2")
        assert "replica2" not in lab.host.run(links.names)
        assert list(lab.replicas) == ["replica-1", "replica-3"]
        _until(lambda: inside not in _networks_in_use())
        added = lab.add_replica()
        assert added.name == "replica-4"
        assert send(lab.client.namespace, added.endpoint, 5).answers == {"replica-4": 5}


class TestOrdinaryUser:
    def test_builds_a_lab_in_a_user_namespace(self) -> None:
        def build() -> None:
            gain_privileges()
            with Lab(replicas=1) as lab:
                traffic = send(lab.client.namespace, lab.replicas["replica-1"].endpoint, 10)
            assert traffic.answers == {"replica-1": 10}

        assert _as_ordinary_user(build) == "done"

    def test_is_told_the_mend_where_the_host_forbids_it(self) -> None:
        def forbid_and_try() -> None:
            # A user namespace has limits of its own, so nothing of the machine's is changed here.
            enter_user_namespace()
            Path("/proc/sys/user/max_user_namespaces").write_text("0", encoding="ascii")
            enter_user_namespace()

        assert "sudo" in _as_ordinary_user(forbid_and_try)

    def test_cannot_make_a_network_namespace_without(self) -> None:
        def attempt() -> None:
            assert not may_build_networks()
            Namespace("forbidden")

        assert "sudo" in _as_ordinary_user(attempt)

    def test_a_process_with_threads_cannot_enter_a_user_namespace(self, lab: Lab) -> None:
        assert lab.host.run(may_build_networks)
        with pytest.raises(RuntimeError, match="threads cannot change its user namespace"):
            enter_user_namespace()


def _until(condition: Callable[[], bool], timeout: float = 5.0) -> None:
    """Wait for what the kernel or another thread does in its own time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


def _as_ordinary_user(function: Callable[[], None]) -> str:
    """Call a function in a child process without privileges; "done", or the hint of the error it ended in."""
    require(root())  # a user namespace of one user can't become another; there, every other test here shows the same
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
            # setuid(2) gives /proc/self to root until the next execve(2); an ordinary user's processes own theirs.
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1)
            function()
            outcome = "done"
        except NotPermittedError as error:
            outcome = error.hint or "no hint"
        except BaseException as error:  # noqa: BLE001 (it must reach the parent in some way)
            outcome = repr(error)
        os.write(writer, outcome.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        outcome = answer.read()
    os.waitpid(child, 0)
    return outcome

"""Who listens on a port, asked of the kernel about real sockets."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path

import pytest

from netshare.core.model import Listener, Protocol
from netshare.errors import NetfilterError
from netshare.lab import links
from netshare.lab.namespace import Namespace
from netshare.netfilter import sockets
from netshare.netfilter.sockets import ListeningSockets
from tests.netns.privileges import without_privileges

pytestmark = pytest.mark.netns

PORT = 8000
KIND = {Protocol.TCP: socket.SOCK_STREAM, Protocol.UDP: socket.SOCK_DGRAM}
BOTH = pytest.mark.parametrize("protocol", KIND)


class Host:
    """A network namespace with this test's own sockets in it."""

    def __init__(self, namespace: Namespace, stack: ExitStack) -> None:
        self.namespace = namespace
        self._stack = stack

    def bind(self, address: str, protocol: Protocol = Protocol.TCP, *, both: bool = False) -> socket.socket:
        """Bind a socket, and listen on it if that is done; ``both`` families, of an IPv6 one."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = self.namespace.run(socket.socket, family, KIND[protocol])
        self._stack.enter_context(made)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        made.bind((address, PORT))
        if protocol is Protocol.TCP:
            made.listen()
        return made

    def holders(self, address: str | None = None, protocol: Protocol = Protocol.TCP, *, port: int = PORT) -> list[str]:
        on = None if address is None else ip_address(address)
        return self.namespace.run(ListeningSockets().holders, Listener(port, protocol, on))


@pytest.fixture
def host() -> Iterator[Host]:
    with ExitStack() as stack:
        namespace = Namespace("sockets")
        stack.callback(namespace.close)
        namespace.run(links.prepare, ipv6=True)
        yield Host(namespace, stack)


@pytest.fixture
def this_process() -> str:
    return f"{Path('/proc/self/comm').read_text(encoding='utf-8').strip()} (pid {os.getpid()})"


@BOTH
def test_nobody(host: Host, protocol: Protocol) -> None:
    assert host.holders(protocol=protocol) == []


def test_a_process_is_looked_for_once(host: Host, this_process: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host.bind("0.0.0.0")
    asked = ListeningSockets()
    walks: list[set[int]] = []

    def walked(inodes: set[int], _: Path) -> dict[int, str]:
        walks.append(inodes)
        return dict.fromkeys(inodes, this_process)

    monkeypatch.setattr(sockets, "processes_with", walked)
    for _ in range(3):
        assert host.namespace.run(asked.holders, Listener(PORT)) == [this_process]
    assert len(walks) == 1
    host.bind("127.0.0.1")
    assert host.namespace.run(asked.holders, Listener(PORT)) == [this_process]
    assert len(walks) == 2


@BOTH
@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "127.8.8.8", "::", "::1"])
def test_whoever_listens_anywhere_is_in_the_way_of_a_listener_on_every_address(
    host: Host, protocol: Protocol, address: str, this_process: str
) -> None:
    host.bind(address, protocol)
    assert host.holders(protocol=protocol) == [this_process]
    assert host.holders(protocol=protocol, port=PORT + 1) == []
    other = Protocol.UDP if protocol is Protocol.TCP else Protocol.TCP
    assert host.holders(protocol=other) == []


@BOTH
@pytest.mark.parametrize(
    ("bound", "both", "listener", "is_holder"),
    [
        ("127.0.0.1", False, "127.0.0.1", True),
        ("127.0.0.1", False, "127.0.0.2", False),
        ("127.0.0.1", False, "::1", False),
        ("0.0.0.0", False, "127.0.0.1", True),
        ("0.0.0.0", False, "192.0.2.1", True),
        ("0.0.0.0", False, "::1", False),
        ("::", False, "::1", True),
        ("::", False, "2001:db8::1", True),
        ("::", False, "127.0.0.1", False),
        ("::", True, "127.0.0.1", True),
        ("::", True, "::1", True),
        ("::1", False, "::1", True),
        ("::1", True, "2001:db8::1", False),
        ("::1", True, "127.0.0.1", False),
        ("::ffff:127.0.0.1", True, "127.0.0.1", True),
        ("::ffff:127.0.0.1", True, "127.0.0.2", False),
    ],
)
def test_who_is_in_the_way_of_a_listener_on_one_address(
    host: Host, protocol: Protocol, bound: str, listener: str, *, both: bool, is_holder: bool
) -> None:
    host.bind(bound, protocol, both=both)
    assert bool(host.holders(listener, protocol)) is is_holder


def test_connections_and_bound_sockets_are_no_listeners(host: Host) -> None:
    server = host.bind("127.0.0.1")
    with host.namespace.run(socket.create_connection, ("127.0.0.1", PORT)) as client:
        accepted, _ = server.accept()
        with accepted:
            assert host.holders(port=client.getsockname()[1]) == []
            assert host.holders() != []
            server.close()
            assert host.holders() == []


def test_a_connected_udp_socket_hears_nobody_else(host: Host) -> None:
    asking = host.bind("127.0.0.1", Protocol.UDP)
    assert host.holders(protocol=Protocol.UDP) != []
    asking.connect(("127.0.0.1", 53))
    assert host.holders(protocol=Protocol.UDP) == []


def test_another_network_namespace_is_another_world(host: Host) -> None:
    host.bind("0.0.0.0")
    elsewhere = Namespace("elsewhere")
    try:
        assert elsewhere.run(ListeningSockets().holders, Listener(PORT)) == []
    finally:
        elsewhere.close()


def test_another_process_is_named_and_so_is_the_first_of_a_family(host: Host) -> None:
    code = f"""
import os, socket, sys
made = socket.create_server(("0.0.0.0", {PORT}))
child = os.fork()
print(flush=True) if child else None
sys.stdin.read()
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with host.namespace.popen([sys.executable, "-c", code], **pipes) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        server.stdout.readline()
        name = Path(f"/proc/{server.pid}/comm").read_text(encoding="utf-8").strip()
        assert host.holders() == [f"{name} (pid {server.pid})"]
        server.stdin.close()
        server.wait(timeout=10)
    assert host.holders() == []


def test_several_holders_are_all_named(host: Host, this_process: str) -> None:
    host.bind("127.0.0.1")
    host.bind("::", both=False)
    host.bind("0.0.0.0")
    assert host.holders() == [this_process]


def test_a_thousand_sockets_are_more_than_one_answer(host: Host, this_process: str) -> None:
    for number in range(1000):
        host.bind(f"127.1.{number // 250}.{number % 250 + 1}")
    assert host.holders() == [this_process]
    assert len(host.namespace.run(sockets.listening, Listener(PORT))) == 1000


def test_sctp_is_held_by_nobody_where_the_kernel_has_none(host: Host) -> None:
    assert host.holders(protocol=Protocol.SCTP) == []


def test_it_is_an_error_and_not_nobody_when_the_kernel_can_not_tell(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sockets._ASKED, Protocol.TCP, (253, 10))  # noqa: SLF001 (a protocol no kernel has)
    with pytest.raises(NetfilterError, match="who listens on tcp ports: No such file") as refused:
        host.holders()
    assert "modprobe tcp_diag" in str(refused.value.hint)


def test_no_privilege_is_needed_to_ask(host: Host, this_process: str) -> None:
    host.bind("0.0.0.0")
    found: list[str] = []

    def ask() -> None:
        found.extend(ListeningSockets().holders(Listener(PORT)))

    host.namespace.start_thread(without_privileges, ask).result(timeout=10)
    assert found == [this_process]

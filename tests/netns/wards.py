"""Servers that can be told how to answer, well or badly, and the agent that looks after them."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from netshare.agent.inbox import Hint, Inbox
from netshare.agent.loop import Loop
from netshare.agent.probing import Prober
from netshare.agent.suspicion import Suspicion
from netshare.core.health import Standing
from netshare.core.model import Endpoint, Family, Listener, Service
from netshare.core.ruleset import Match
from netshare.health.board import HealthBoard
from netshare.health.probing import probe
from netshare.lab.namespace import Namespace
from netshare.netfilter.nftables.driver import NftablesDriver
from netshare.netfilter.unanswered import UnansweredConnections
from tests.netns.machine import WEB, Machine

Behaviour = Callable[[socket.socket], None]


def answer(head: bytes, body: bytes = b"") -> Behaviour:
    """Answer a request with these bytes."""

    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(head + b"\r\n\r\n" + body)

    return behave


def cut(beginning: bytes) -> Behaviour:
    """Take a request, and close after the beginning of an answer."""

    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(beginning)

    return behave


def status(line: str) -> Behaviour:
    """Answer with a status and little else."""
    return answer(f"HTTP/1.1 {line}\r\nContent-Length: 2\r\nConnection: close".encode(), b"ok")


def hang(connection: socket.socket) -> None:
    """Take the request, and say nothing."""
    while connection.recv(65536):
        pass


def drip(connection: socket.socket) -> None:
    """Send the beginning of an answer, and then a header every now and then, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    with suppress(OSError):
        for number in range(1000):
            connection.sendall(b"X-%d: y\r\n" % number)
            time.sleep(0.02)


def flood(connection: socket.socket) -> None:
    """Send headers without an end."""
    with suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-Header: " + b"y" * 1000 + b"\r\n")


class Ward:
    """A server in a namespace, on all its addresses, that behaves as it is told; it notes what it was asked."""

    def __init__(self, namespace: Namespace, port: int, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.asked: list[bytes] = []
        self._listening = namespace.run(socket.create_server, ("", port), backlog=1024)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close: from now on connections are refused."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._behave, args=(connection,), daemon=True).start()

    def _behave(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10)
            self.asked.append(connection.recv(65536, socket.MSG_PEEK))
            self.behaviour(connection)


class Keeper:
    """The agent's loop, prober and suspicion on a lab's host."""

    def __init__(self, machine: Machine, directory: Path) -> None:
        self.machine = machine
        self.board = HealthBoard(directory / "health.json")
        self.inbox = Inbox()
        self.eyes = NftablesDriver()  # one of its own: the loop's belongs to the loop's thread
        self.prober = Prober(probe, self.inbox.put, self.board)
        host = replace(machine.host, health=self.prober)
        self._loop = Loop(host, self.inbox, probing=self.prober)
        namespace = machine.lab.host
        self._suspicion = Suspicion(UnansweredConnections(), self.prober, pause=0.2)
        sources = (self._loop.run, self.prober.follow, self._suspicion.follow)
        self._threads = [namespace.start_thread(source) for source in sources]

    def close(self) -> None:
        """End all of it; a crash in there is raised here."""
        self.inbox.close()
        self._suspicion.close()
        self.prober.close()
        for thread in self._threads:
            thread.result(timeout=10)
        self.eyes.close()

    def define(self, service: Service) -> None:
        """Write a definition, and tell that there is one."""
        self.machine.host.store.save(service)
        self.inbox.put(Hint("test"))

    def served(self, listener: Listener = WEB) -> frozenset[Endpoint]:
        """List the endpoints that the kernel gives a listener's new connections to, over IPv4."""
        held = self.machine.lab.host.run(self.eyes.observe).ruleset
        dispatch = held.dispatches.get(Match(Family.IP, listener.protocol, listener.port, None))
        return frozenset(dispatch.slots if dispatch else ())

    def standings(self) -> Mapping[Endpoint, Standing]:
        """Tell what is thought of each endpoint."""
        return {each.endpoint: verdict.standing for each, verdict in self.prober.verdicts().by_probe.items()}

    def reasons(self) -> Mapping[Endpoint, str | None]:
        """Tell why each endpoint's last probe failed."""
        return {each.endpoint: verdict.reason for each, verdict in self.prober.verdicts().by_probe.items()}


@contextmanager
def keeper(machine: Machine, directory: Path) -> Iterator[Keeper]:
    """Run an agent on the machine."""
    running = Keeper(machine, directory)
    try:
        yield running
    finally:
        running.close()

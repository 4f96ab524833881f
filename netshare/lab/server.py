"""What a replica in the lab does: tell every client who answered, and whom it saw asking."""

import json
import selectors
import socket
import threading
from functools import partial
from ipaddress import ip_address

from netshare.core.model import Endpoint
from netshare.lab.namespace import Namespace

_BACKLOG = 4096
_READ = 65536


class ReplicaServer:
    """A server for one port in a namespace, TCP and UDP, on every address the namespace has.

    A new TCP connection is sent one line, ``{"replica": NAME, "client": "ADDR:PORT"}``, at once, and another for every
    line the client sends; it stays open until the client closes it. Every UDP datagram is answered with one line.

    One thread serves all connections. It need not be in the namespace, as the sockets are.
    """

    def __init__(self, name: str, namespace: Namespace, port: int, *, ipv6: bool) -> None:
        self.name = name
        self.port = port
        self._families = (socket.AF_INET, socket.AF_INET6) if ipv6 else (socket.AF_INET,)
        self._selector = selectors.DefaultSelector()
        self._connections: set[socket.socket] = set()
        self._accepted = 0
        self._datagrams = 0
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, self._close_all)
        self._thread = threading.Thread(target=self._serve, name=f"lab-server-{name}", daemon=True)
        try:
            namespace.run(self._listen)
        except BaseException:
            self._close_all()
            self._selector.close()
            self._wake.close()
            raise
        self._thread.start()

    @property
    def connections_total(self) -> int:
        """How many TCP connections were accepted so far."""
        return self._accepted

    @property
    def connections_active(self) -> int:
        """How many of them are open."""
        return len(self._connections)

    @property
    def datagrams_total(self) -> int:
        """How many UDP datagrams were answered so far."""
        return self._datagrams

    def stop(self) -> None:
        """Close every socket: open connections end, new ones are refused. A second time does nothing."""
        self._wake.close()
        if self._thread.is_alive():
            self._thread.join()

    def _listen(self) -> None:
        for family in self._families:
            for kind, ready in ((socket.SOCK_STREAM, self._accept), (socket.SOCK_DGRAM, self._answer_datagrams)):
                listening = socket.socket(family, kind | socket.SOCK_NONBLOCK)
                self._selector.register(listening, selectors.EVENT_READ, partial(ready, listening))
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listening.bind(("", self.port))
                if kind == socket.SOCK_STREAM:
                    listening.listen(_BACKLOG)

    def _serve(self) -> None:
        while self._selector.get_map():
            for key, _ in self._selector.select():
                if self._selector.get_map():
                    key.data()
        self._selector.close()

    def _close_all(self) -> None:
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._connections.clear()

    def _accept(self, listening: socket.socket) -> None:
        # One a turn, so that connections that are over are closed in between, and few are open at a time.
        try:
            connection, client = listening.accept()
        except BlockingIOError:
            return
        connection.settimeout(0.0)
        self._accepted += 1
        self._connections.add(connection)
        answer = self._line(client)
        self._selector.register(connection, selectors.EVENT_READ, partial(self._converse, connection, answer))
        self._send(connection, answer)

    def _converse(self, connection: socket.socket, answer: bytes) -> None:
        try:
            received = connection.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if received:
            self._send(connection, answer * received.count(b"\n"))
        else:
            self._close(connection)

    def _send(self, connection: socket.socket, answers: bytes) -> None:
        """Send to a client that reads; one that doesn't, or is gone, is hung up on."""
        try:
            sent = connection.send(answers)
        except OSError:
            sent = -1
        if sent != len(answers):
            self._close(connection)

    def _close(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        self._connections.discard(connection)
        connection.close()

    def _answer_datagrams(self, listening: socket.socket) -> None:
        while True:
            try:
                _, client = listening.recvfrom(_READ)
                listening.sendto(self._line(client), client)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                continue  # an earlier client is gone, says ICMP
            self._datagrams += 1

    def _line(self, client: tuple[str, int] | tuple[str, int, int, int]) -> bytes:
        endpoint = Endpoint(ip_address(client[0]), client[1])
        return json.dumps({"replica": self.name, "client": str(endpoint)}).encode() + b"\n"

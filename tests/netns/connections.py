"""Connections of clients that wait, send, and find out whether their replica is there still."""

import json
import socket
from contextlib import ExitStack

import pytest

from netshare.core.model import Endpoint, Family, IPAddress
from netshare.lab.namespace import Namespace
from tests.netns.machine import Machine


class Client:
    """A connection that was greeted by its replica. It says nothing unless it is told to."""

    def __init__(self, namespace: Namespace, to: Endpoint) -> None:
        family = socket.AF_INET if to.address.version == 4 else socket.AF_INET6
        self.socket = namespace.run(socket.socket, family, socket.SOCK_STREAM)
        self.socket.settimeout(5)
        self.socket.connect((str(to.address), to.port))
        self.replica = self._hear()

    def _hear(self) -> str:
        heard = self.socket.recv(4096)
        assert heard, "the replica hung up"
        return str(json.loads(heard)["replica"])

    def goes_on(self) -> bool:
        """Whether its replica still answers it."""
        self.socket.settimeout(5)
        self.socket.sendall(b"\n")
        return self._hear() == self.replica

    def is_waiting(self, seconds: float = 0.3) -> bool:
        """Wait for a word, in vain."""
        self.socket.settimeout(seconds)
        with pytest.raises(TimeoutError):
            self.socket.recv(1)
        return True

    def is_reset(self, seconds: float = 1) -> bool:
        """Wait for a word, and be told that the connection is gone."""
        self.socket.settimeout(seconds)
        with pytest.raises(ConnectionResetError):
            self.socket.recv(1)
        return True


class Clients:
    """Connections of a test, closed at its end."""

    def __init__(self, host: Machine) -> None:
        self._host = host
        self._opened = ExitStack()

    def connect(self, namespace: Namespace, to: Endpoint) -> Client:
        client = Client(namespace, to)
        self._opened.callback(client.socket.close)
        return client

    def one_each(
        self,
        family: Family = Family.IP,
        namespace: Namespace | None = None,
        at: IPAddress | None = None,
        port: int = 80,
    ) -> dict[str, Client]:
        """Connect until every replica has a client, of the lab's client or another's."""
        found: dict[str, Client] = {}
        to = self._host.at(family, port) if at is None else Endpoint(at, port)
        for _ in range(200):
            if set(found) == set(self._host.lab.replicas):
                break
            client = self.connect(namespace or self._host.lab.client.namespace, to)
            if found.setdefault(client.replica, client) is not client:
                client.socket.close()
        return found

    def close(self) -> None:
        self._opened.close()

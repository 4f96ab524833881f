"""Metrics over HTTP, for Prometheus: one address, a few requests at a time, none that takes for ever."""

import errno
import socket
import sys
from collections.abc import Callable
from socketserver import ThreadingMixIn
from threading import BoundedSemaphore
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, disable_created_metrics, make_wsgi_app

from netshare.core.model import Endpoint, Family
from netshare.errors import NetshareError, NotPermittedError, PortConflictError

_AT_ONCE = 8
_PATIENCE = 10.0


class MetricsServer:
    """Serves a registry on an address of this host, from when it is made until `close`."""

    def __init__(self, address: Endpoint, registry: CollectorRegistry) -> None:
        """Listen.

        Raises:
            PortConflictError: the port is busy.
            NotPermittedError: this user may not listen there.
            NetshareError: the address is none of this host's.

        """
        disable_created_metrics()  # type: ignore[no-untyped-call]  # when each counter began: a second series for each, of use to nobody here
        kind = _Server if address.family is Family.IP else _ServerOfIPv6
        try:
            self._server = kind((str(address.address), address.port), _Handler)
        except OSError as error:
            raise _refusal(address, error) from error
        self._server.set_app(make_wsgi_app(registry))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def serve(self) -> None:
        """Answer until `close`."""
        self._server.serve_forever()

    def close(self) -> None:
        """Stop listening; `serve` ends."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE

    def log_message(self, format: str, *_args: object) -> None:  # noqa: A002 (the base class's word)
        """Keep quiet: a scrape is no event."""

    def address_string(self) -> str:
        """Ask no name server who this is."""
        return str(self.client_address[0])


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], handler: Callable[..., Any]) -> None:
        self._places = BoundedSemaphore(_AT_ONCE)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind, and ask no name server who this is."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (the base class's)
        """Answer in a thread of its own, if there is place for another."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (same)
        """Answer."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (same)
        """Let those go who have hung up; a bug is told as everywhere."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _ServerOfIPv6(_Server):
    address_family = socket.AF_INET6


def _refusal(address: Endpoint, error: OSError) -> NetshareError:
    what = f"metrics can't be served on {address}: {error.strerror}"
    match error.errno:
        case errno.EADDRINUSE:
            return PortConflictError(what, hint=f"`ss -ltnp sport = :{address.port}` names who listens there")
        case errno.EACCES:
            return NotPermittedError(what, hint="ports below 1024 are for root (CAP_NET_BIND_SERVICE)")
        case errno.EADDRNOTAVAIL:
            return NetshareError(what, hint="it is none of this host's addresses; 127.0.0.1 always is")
        case _:
            return NetshareError(what)

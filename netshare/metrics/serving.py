"""Metrics over HTTP, for Prometheus: one address, a few requests at a time, none that takes for ever.

Whoever reaches the address may read them. Where that is the host itself, its browsers do too: a page of anybody's can
have its own name lead to 127.0.0.1 (DNS rebinding), and is told by the name that it asks for.
"""

import errno
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address
from socketserver import ThreadingMixIn
from threading import BoundedSemaphore, Lock, Timer
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, disable_created_metrics, make_wsgi_app

from netshare.core.model import Endpoint, Family
from netshare.errors import NetshareError, NotPermittedError, PortConflictError

_AT_ONCE = 8
_PATIENCE = 10.0
_LONGEST = 30.0
"""Seconds from the beginning of a request to the end of its answer, for those who are slow byte by byte."""

_App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


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
        app: _App = make_wsgi_app(registry)
        self._server.set_app(_one_at_a_time(_to_its_own_name(app) if address.address.is_loopback else app))

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
        """Answer, or hang up when it takes too long."""
        deadline = Timer(_LONGEST, _hang_up, (request,))
        deadline.daemon = True
        deadline.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            deadline.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (same)
        """Let those go who have hung up; a bug is told as everywhere."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _ServerOfIPv6(_Server):
    address_family = socket.AF_INET6


def _hang_up(request: socket.socket) -> None:
    with suppress(OSError):  # it has ended at this very moment
        request.shutdown(socket.SHUT_RDWR)


def _one_at_a_time(app: _App) -> _App:
    """Gather for one after the other: those who ask must not keep the agent from its work."""
    lock = Lock()

    def gathered(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with lock:
            return app(environ, start_response)

    return gathered


def _to_its_own_name(app: _App) -> _App:
    """Answer those only who ask for an address, or for localhost."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if _is_own(environ.get("HTTP_HOST", "localhost")):
            return app(environ, start_response)
        start_response("421 Misdirected Request", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"ask for it by its address, or as localhost\n"]

    return guarded


def _is_own(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ip_address(name))
    except ValueError:  # no address, or brackets that don't match
        return False


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

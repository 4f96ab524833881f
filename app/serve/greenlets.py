"""gevent's own WSGI server, with a stop that loses nothing. Import it after the patch."""

import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from app.serve.options import Bind

_BACKLOG = 1024
LINGER = 0.3


class _OneRequest(WSGIHandler):
    """A connection for one request: connections are what is balanced, so none is kept alive.

    While it waits for that request, the server may hang up.
    """

    server: "GracefulServer"

    def read_requestline(self) -> str:
        """Wait for the request."""
        self.server.waiting.add(self.socket)
        try:
            return str(super().read_requestline())
        finally:
            self.server.waiting.discard(self.socket)

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:  # noqa: ANN401 (WSGI's own)
        """Tell the client that the connection ends with this response."""
        return super().start_response(status, [*headers, ("Connection", "close")], exc_info)


class GracefulServer(WSGIServer):
    """Serves up to ``greenlets`` requests at once until `stop`, which waits for them."""

    def __init__(
        self, bind: Bind, application: Callable[..., Iterable[bytes]], *, greenlets: int, grace: float
    ) -> None:
        # With a pool, `stop` joins it; without, greenlets in flight would be forgotten.
        super().__init__(
            (bind.address, bind.port),
            application,
            backlog=_BACKLOG,
            spawn=Pool(greenlets),
            handler_class=_OneRequest,
            log=None,
            error_log=sys.stderr,
        )
        self.waiting: set[Any] = set()
        self._grace = grace
        self._stopped = Event()

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, and then until nothing is in flight, or the grace is over."""
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self._stopped.set)
        self.start()
        self._stopped.wait()
        # Who balances hears of the signal too, and needs a moment to send new connections elsewhere.
        gevent.sleep(LINGER)
        self.close()
        for connection in list(self.waiting):
            # Read what has come, then the end: a request that is on its way is still answered.
            connection.shutdown(gevent.socket.SHUT_RD)
        self.stop(timeout=self._grace)

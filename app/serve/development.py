"""Flask's development server, what `flask run` starts, one request at a time or a thread for each.

It is no server for production, and here to be compared with those that are. Two things are added to it: SIGTERM lets
the requests in flight finish, and so does the end of the process.
"""

import app.serve.starting  # noqa: F401  # isort: skip (first, and its import is all)

import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler, make_server

from app.serve.options import Bind
from app.wsgi import application

_POLL_SECONDS = 0.1


class _Quiet(WSGIRequestHandler):
    """Logs errors only, as the other servers do here."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT."""
    bind = Bind.parse(arguments[0])
    server = make_server(bind.address, bind.port, application, threaded=arguments[1] == "1", request_handler=_Quiet)
    if isinstance(server, ThreadedWSGIServer):
        # Werkzeug makes them daemons, which end with the process; `server_close` would wait for none.
        server.daemon_threads = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        # From another thread: `shutdown` waits for the loop that this handler interrupts.
        threading.Thread(target=server.shutdown, name="stop").start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.serve_forever(_POLL_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1:])

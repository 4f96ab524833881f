"""An upstream that answers whatever it is told to."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Self


class Liar:
    """Stands where the slow API does, for as long as the ``with`` block lasts."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b""
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(liar.status)
                self.send_header("Content-Length", str(len(liar.body)))
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(liar.body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """UPSTREAM_URL."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

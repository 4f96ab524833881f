"""The container's health check, ``python -m app.health``: exit code 0 if the server in it answers.

It needs the standard library only, and is over in some hundredths of a second.
"""

import os
import socket
import sys
from http.client import HTTPConnection, HTTPException

_SECONDS = 2.0


def is_healthy(address: str, port: int, protocol: str) -> bool:
    """Ask for ``/healthz``; a server that speaks the uwsgi protocol only must take the connection."""
    try:
        if protocol != "http":
            with socket.create_connection((address, port), timeout=_SECONDS):
                return True
        connection = HTTPConnection(address, port, timeout=_SECONDS)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200  # noqa: PLR2004 (OK)
        finally:
            connection.close()
    except (OSError, HTTPException):
        return False


def main() -> int:
    """Check the server of this container, where its environment says it is."""
    port = int(os.environ.get("APP_PORT", "8080"))
    return 0 if is_healthy("127.0.0.1", port, os.environ.get("APP_PROTOCOL", "http")) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The application in gevent.pywsgi: one process, a greenlet for each request."""

import app.serve.starting  # noqa: F401  # isort: skip (first, and its import is all)
from app.patched import application  # isort: skip (the patch goes first)

import sys
from collections.abc import Sequence

from app.serve.greenlets import GracefulServer
from app.serve.options import Bind


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT."""
    bind, greenlets, grace = arguments
    GracefulServer(Bind.parse(bind), application, greenlets=int(greenlets), grace=float(grace)).run()


if __name__ == "__main__":
    main(sys.argv[1:])

"""The slow API in gevent.pywsgi."""

import app.serve.starting  # noqa: F401  # isort: skip (first, and its import is all)
from gevent import monkey  # isort: skip

monkey.patch_all()

import sys  # noqa: E402 (the patch goes first)
from collections.abc import Sequence  # noqa: E402

from app.serve.greenlets import GracefulServer  # noqa: E402
from app.serve.options import Bind  # noqa: E402
from app.slow_api import SlowApi  # noqa: E402

_GREENLETS = 10_000


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT."""
    bind, grace = arguments
    GracefulServer(Bind.parse(bind), SlowApi(), greenlets=_GREENLETS, grace=float(grace)).run()


if __name__ == "__main__":
    main(sys.argv[1:])

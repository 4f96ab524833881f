"""``python -m app.serve KIND``: become a server.

The command replaces itself by the server (exec), so that a signal to it, from a container engine or a shell, is one to
the server. It must not import the application: greenlets need the patch before.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from app.serve import commands
from app.serve.options import Bind, Kind, Options, Protocol

_SLOW_API = "slow-api"


def main(arguments: Sequence[str]) -> None:
    """Read the command line and exec."""
    # By the environment, so that the container's health check finds it (app.health).
    port, protocol = os.environ.get("APP_PORT", "8080"), os.environ.get("APP_PROTOCOL", "http")
    parser = argparse.ArgumentParser(prog="python -m app.serve", description="Serve the application.")
    parser.add_argument("kind", choices=[*Kind, _SLOW_API], metavar="KIND", help=", ".join([*Kind, _SLOW_API]))
    parser.add_argument("--bind", type=Bind.parse, default=f"0.0.0.0:{port}", metavar="ADDR:PORT", help="%(default)s")
    parser.add_argument("--workers", type=_count, metavar="N", help="processes; default: what the article has")
    parser.add_argument("--threads", type=_count, default=50, metavar="N", help="threads of each (%(default)s)")
    parser.add_argument("--greenlets", type=_count, default=1000, metavar="N", help="greenlets of each (%(default)s)")
    parser.add_argument("--protocol", type=Protocol, default=protocol, metavar="http|uwsgi")
    parser.add_argument("--grace", type=_count, default=30, metavar="SECONDS", help="after SIGTERM (%(default)s)")
    chosen = parser.parse_args(arguments)
    if chosen.kind == _SLOW_API:
        command = commands.slow_api(chosen.bind, chosen.grace)
        environment = {}
    else:
        kind = Kind(chosen.kind)
        options = Options(
            bind=chosen.bind,
            workers=chosen.workers or commands.WORKERS[kind],
            threads=chosen.threads,
            greenlets=chosen.greenlets,
            protocol=chosen.protocol,
            grace=chosen.grace,
        )
        if options.protocol is Protocol.UWSGI and kind not in {Kind.UWSGI, Kind.UWSGI_GEVENT}:
            parser.error(f"{kind} does not speak the uwsgi protocol")
        command = commands.command(kind, options)
        environment = {"APP_SERVER": kind.value, "APP_PROTOCOL": options.protocol.value}
    sys.stdout.flush()
    os.execve(command[0], command, {**os.environ, **environment})  # noqa: S606 (no shell is wanted)


def _count(text: str) -> int:
    number = int(text)
    if not 0 < number <= 10_000:  # noqa: PLR2004 (more is a slip of the finger)
        raise ValueError(text)
    return number


if __name__ == "__main__":
    main(sys.argv[1:])

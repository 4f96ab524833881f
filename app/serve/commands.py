"""Each server's command line, with what makes it the article's, and what makes its stop graceful.

None keeps connections alive: the kernel balances connections, so each request shall be one. And a stop never has to
wait for a client that has nothing more to ask.
"""

import sys
from pathlib import Path
from typing import assert_never

from app.serve.options import Bind, Kind, Options, Protocol

WORKERS = {
    Kind.DEV: 1,
    Kind.DEV_THREADS: 1,
    Kind.GUNICORN: 4,
    Kind.UWSGI: 4,
    Kind.PYWSGI: 1,
    Kind.GUNICORN_GEVENT: 1,
    Kind.UWSGI_GEVENT: 2,
}
"""How many processes each has in the article."""

UNPATCHED = "app.wsgi:application"
PATCHED = "app.patched:application"

_BACKLOG = 1024
_SOMAXCONN = Path("/proc/sys/net/core/somaxconn")


def command(kind: Kind, options: Options) -> list[str]:
    """Give the words to exec."""
    match kind:
        case Kind.DEV | Kind.DEV_THREADS:
            return _module("app.serve.development", str(options.bind), "1" if kind is Kind.DEV_THREADS else "0")
        case Kind.PYWSGI:
            return _module("app.serve.pywsgi", str(options.bind), str(options.greenlets), str(options.grace))
        case Kind.GUNICORN:
            # A worker that took more than it has threads would queue them, while others have threads to spare.
            own = ["--worker-class=gthread", f"--threads={options.threads}", f"--worker-connections={options.threads}"]
            return _gunicorn(options, [*own, UNPATCHED])
        case Kind.GUNICORN_GEVENT:
            own = ["--worker-class=gevent", f"--worker-connections={options.greenlets}"]
            return _gunicorn(options, [*own, PATCHED])
        case Kind.UWSGI:
            return _uwsgi(options, [f"--threads={options.threads}", "--enable-threads", f"--module={UNPATCHED}"])
        case Kind.UWSGI_GEVENT:
            return _uwsgi(options, [f"--gevent={options.greenlets}", f"--module={PATCHED}"])
        case _:
            assert_never(kind)


def slow_api(bind: Bind, grace: int) -> list[str]:
    """Give the words to exec for the slow API."""
    return _module("app.serve.slow", str(bind), str(grace))


def _gunicorn(options: Options, own: list[str]) -> list[str]:
    return _module(
        "gunicorn",
        f"--bind={options.bind}",
        f"--workers={options.workers}",
        f"--backlog={_BACKLOG}",
        f"--graceful-timeout={options.grace}",
        f"--timeout={max(options.grace, 30)}",
        "--keep-alive=0",
        "--worker-tmp-dir=/dev/shm",  # its heartbeat must not wait for a disk
        "--no-control-socket",
        *own,
    )


def _uwsgi(options: Options, own: list[str]) -> list[str]:
    # uWSGI refuses to start if it asks for more than the kernel gives.
    backlog = min(_BACKLOG, int(_SOMAXCONN.read_text(encoding="ascii")))
    socket = "--http-socket" if options.protocol is Protocol.HTTP else "--socket"
    program = Path(sys.executable).with_name("uwsgi")
    return [
        str(program),
        f"{socket}={options.bind}",
        f"--processes={options.workers}",
        f"--listen={backlog}",
        "--master",
        "--need-app",
        # No --lazy-apps: a worker that is still loading the application when SIGTERM comes never hears of it, and uWSGI
        # (2.0.30) then waits for it for ever. Loaded before the fork, nothing is connected yet.
        #
        # SIGTERM is ignored at first, by default reloads, and would kill what is in flight by --die-on-term: so it ends
        # the process as long as there is none in flight, and then gracefully.
        "--hook-asap=unix_signal:15 _exit",
        "--die-on-term",
        "--hook-master-start=unix_signal:15 gracefully_kill_them_all",
        f"--worker-reload-mercy={options.grace}",
        "--disable-logging",
        *own,
    ]


def _module(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", name, *words]

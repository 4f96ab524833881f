"""The workload's own servers as processes."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from app.lab.processes import Popen, Server, takes_connections
from app.serve.options import Bind, Kind, Protocol

_ROOT = Path(__file__).parents[2]
_SECONDS = 5.0


def serve(
    kind: Kind | str,
    bind: Bind,
    log: Path,
    environment: Mapping[str, str],
    *words: str,
    popen: Popen = subprocess.Popen,
) -> Server:
    """Start a server of the application (or ``slow-api``), as a user would."""
    return Server(
        [sys.executable, "-m", "app.serve", str(kind), "--bind", str(bind), *words],
        log,
        environment={"PYTHONPATH": str(_ROOT), **environment},
        popen=popen,
    )


def nginx(
    protocol: Protocol, listen: Bind, upstreams: Sequence[Bind], log: Path, *, popen: Popen = subprocess.Popen
) -> Server:
    """Start Nginx in front of servers, as a user would."""
    words = [f"--directory={log.with_suffix('.d')}", *(f"--upstream={upstream}" for upstream in upstreams)]
    return Server(
        [sys.executable, "-m", "app.serve.nginx", protocol.value, "--listen", str(listen), *words],
        log,
        environment={"PYTHONPATH": str(_ROOT)},
        popen=popen,
    )


def is_healthy(bind: Bind, path: str = "/healthz") -> bool:
    """Whether it answers."""
    connection = HTTPConnection(bind.address, bind.port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200  # noqa: PLR2004 (OK)
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def is_up(bind: Bind) -> bool:
    """Whether it takes connections."""
    return takes_connections(bind.address, bind.port)

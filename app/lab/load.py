"""Load by `ab`, the article's own measure, bounded in number and time."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from app.lab.processes import Popen
from app.serve.options import Bind

_SYSTEM_PATH = "/usr/sbin:/sbin"
_LONGEST = 300
_ANSWER_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of a number of requests; times in seconds."""

    requests: int
    clients: int
    seconds: float
    rate: float
    failed: int
    median: float
    slow: float
    """What 99 of 100 were faster than."""


def program() -> str | None:
    """Find ab; it is in Debian's package apache2-utils."""
    return shutil.which("ab", path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PATH}")


def measure(bind: Bind, path: str, *, requests: int, clients: int, popen: Popen = subprocess.Popen) -> Measured:
    """Send requests, each on a connection of its own, so many at once."""
    ab = program()
    if ab is None:
        raise FileNotFoundError("ab: it is in Debian's package apache2-utils")
    # -r: go on after a connection that broke; -l: answers may differ in length; -s: patience with one answer.
    words = [ab, "-q", "-r", "-l", "-s", str(_ANSWER_SECONDS), "-n", str(requests), "-c", str(clients)]
    process = popen(
        [*words, f"http://{bind}{path}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        out, error = process.communicate(timeout=_LONGEST)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    if process.returncode != 0:
        raise RuntimeError(f"ab: {error.decode(errors='replace').strip()}")
    return parse(out.decode(errors="replace"), clients)


def parse(text: str, clients: int) -> Measured:
    """Read what ab prints."""
    return Measured(
        requests=int(_number(text, r"^Complete requests: +(\d+)")),
        clients=clients,
        seconds=_number(text, r"^Time taken for tests: +([\d.]+) seconds"),
        rate=_number(text, r"^Requests per second: +([\d.]+)"),
        failed=int(_number(text, r"^Failed requests: +(\d+)") + _number(text, r"^Non-2xx responses: +(\d+)", "0")),
        median=_number(text, r"^ +50% +(\d+)") / 1000,
        slow=_number(text, r"^ +99% +(\d+)") / 1000,
    )


def _number(text: str, pattern: str, default: str | None = None) -> float:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None and default is None:
        raise ValueError(f"ab did not say {pattern}: {text}")
    return float(found[1] if found else default or "0")

"""The one place that starts other programs: the iptables tools, for rules in chains that belong to them.

netshare's own table is programmed over netlink. A chain that the ``iptables`` command manages is changed by that
command only: a native expression in it would make ``iptables``, and Docker with it, refuse the table.
"""

import shutil
import subprocess

from netshare.errors import NetfilterError, NotPermittedError
from netshare.netfilter.netlink import NEEDS_ROOT

_TIMEOUT = 30.0
_SBIN = "/usr/sbin:/sbin:/usr/local/sbin"
"""Where these tools are, and where an ordinary user's PATH does not look."""


def find(program: str) -> str | None:
    """Give a program's path; ``None`` where it is not installed."""
    return shutil.which(program) or shutil.which(program, path=_SBIN)


def run(program: str, *arguments: str, given: str | None = None) -> str:
    """Run a program to its end and give what it printed.

    Raises:
        NotPermittedError: it says it needs root.
        NetfilterError: it is not installed, fails or hangs, with its own last words.

    """
    path = find(program)
    if path is None:
        raise NetfilterError(f"{program} is not installed", hint="install the package iptables")
    try:
        done = subprocess.run(
            [path, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        hint = "something may hold its lock, /run/xtables.lock"
        raise NetfilterError(f"{program} did not end within {_TIMEOUT:g} s", hint=hint) from error
    if done.returncode == 0:
        return done.stdout
    words = done.stderr.strip().splitlines()
    said = f"{program}: {words[0] if words else f'exit code {done.returncode}'}"
    if "Permission denied" in done.stderr or "you must be root" in done.stderr:
        raise NotPermittedError(said, hint=NEEDS_ROOT)
    raise NetfilterError(said)

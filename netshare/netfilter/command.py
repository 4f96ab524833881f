"""The iptables tools, for rules in tables that belong to them.

In nf_tables, netshare's own table is programmed over netlink. A chain that the ``iptables`` command manages is changed
by that command only: a native expression in it would make ``iptables``, and Docker with it, refuse the table. Legacy
xtables have no other door.
"""

from netshare.errors import NetfilterError, NotPermittedError
from netshare.netfilter.netlink import NEEDS_ROOT
from netshare.runtime import command
from netshare.runtime.command import find

__all__ = ["find", "run"]

_TIMEOUT = 30.0


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
        done = command.run(path, *arguments, given=given, timeout=_TIMEOUT)
    except TimeoutError as error:
        hint = "something may hold its lock, /run/xtables.lock"
        raise NetfilterError(f"{program} did not end within {_TIMEOUT:g} s", hint=hint) from error
    if done.code == 0:
        return done.out
    said = f"{program}: {done.last_words}"
    if "Permission denied" in done.err or "you must be root" in done.err:
        raise NotPermittedError(said, hint=NEEDS_ROOT)
    raise NetfilterError(said)

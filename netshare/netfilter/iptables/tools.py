"""The tools of legacy xtables, and which tables there are: no module but this one knows what they are called.

python-iptables was tried (1.2.0 with libxtables 1.8.9) and is no way: one process can program only one family with it
(what IPv4 has loaded, DNAT for one, IPv6 no longer finds), it takes no lock against other writers, libxtables ends the
process where it meets an error, and 2,500 rules take it 0.7 s that take ``iptables-restore`` 0.01 s.
"""

import re
from pathlib import Path

from netshare.core.model import Family
from netshare.errors import NetfilterError
from netshare.netfilter import command

_NAME = {Family.IP: "iptables", Family.IP6: "ip6tables"}
_WAIT = ("-w", "10")  # for /run/xtables.lock, which every writer of these tables takes
_HINT = "`netshare doctor` looks at what this kernel has; the driver nftables may serve where iptables can't"
_NOT_LOADED = re.compile(r"modprobe|insmod")  # libxtables tells what it tried, and what to try
_LOAD = (
    "the agent may load no kernel module; try: modprobe --all ip_tables ip6_tables, and for every boot name both in "
    "/etc/modules-load.d/netshare.conf; on a kernel that lacks them, the driver nftables may serve"
)
_NF_TABLES = "nf_tables"  # in the version, where it is the variant that programs nf_tables: "v1.8.9 (nf_tables)"


def tables_there(family: Family) -> frozenset[str]:
    """Name the tables there are in the calling thread's network namespace; listing another would create it."""
    names = Path(f"/proc/thread-self/net/{family}_tables_names")
    try:
        return frozenset(names.read_text(encoding="ascii").split())
    except OSError:  # the module is not loaded, or this user may not look
        return frozenset()


def prefix(family: Family) -> str | None:
    """Find the tools of legacy xtables: what the names of this family's begin with, ``None`` where they are missing."""
    name = _NAME[family]
    if command.find(f"{name}-legacy-restore") is not None:
        return f"{name}-legacy"
    if command.find(f"{name}-restore") is not None and _NF_TABLES not in command.run(name, "--version"):
        return name
    return None


def missing(family: Family) -> NetfilterError:
    """Say that they are missing, with the mend."""
    return NetfilterError(
        f"the driver iptables needs the tools of legacy {_NAME[family]}, and they are not installed",
        hint="install the package iptables (Debian, Ubuntu, Arch) or iptables-legacy (Fedora, RHEL, Alpine)",
    )


def usual_is_nf_tables() -> bool:
    """Whether the command ``iptables`` of this host is the variant that programs nf_tables."""
    path = command.find("iptables")
    return path is not None and "-nft" in Path(path).resolve().name  # xtables-nft-multi, by whatever links


def save(family: Family) -> str:
    """List every table there is, with what its rules have counted; nothing where there is none.

    Raises:
        NotPermittedError, NetfilterError: the tool refuses.

    """
    name = prefix(family) if tables_there(family) else None
    return "" if name is None else command.run(f"{name}-save", "-c")


def restore(family: Family, script: str) -> None:
    """Commit a script, table by table.

    Raises:
        NotPermittedError, NetfilterError: a tool is missing or the kernel refuses; earlier tables stay committed.

    """
    name = prefix(family)
    if name is None:
        raise missing(family)
    try:
        command.run(f"{name}-restore", *_WAIT, "--noflush", given=script)
    except NetfilterError as error:
        raise NetfilterError(explained(error.message, script), hint=error.hint or _mend(error.message)) from error


def _mend(message: str) -> str:
    return _LOAD if _NOT_LOADED.search(message) else _HINT


def explained(message: str, script: str) -> str:
    """Add the line of the script that a tool complains of by its number."""
    number = message.rpartition("line ")[2].split()[0].rstrip(":") if "line " in message else ""
    lines = script.splitlines()
    if number.isdecimal() and 0 < int(number) <= len(lines):
        return f"{message}: {lines[int(number) - 1]}"
    return message

"""Whether this process may program the kernel's network."""

from pathlib import Path

from netshare.errors import NotPermittedError

CAP_NET_ADMIN = 12
"""Its number in include/uapi/linux/capability.h."""

_STATUS = Path("/proc/self/status")


def has_net_admin(status: Path = _STATUS) -> bool:
    """Tell whether CAP_NET_ADMIN is in this process's effective set."""
    for line in status.read_text(encoding="ascii", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key == "CapEff":
            return bool(int(value, 16) >> CAP_NET_ADMIN & 1)
    return False


def require_net_admin(verb: str) -> None:
    """Refuse early, before anything was changed, what the kernel would refuse later."""
    if not has_net_admin():
        raise NotPermittedError(
            f"{verb} needs the right to program the kernel's network (CAP_NET_ADMIN)",
            hint=f"run it as root: sudo netshare {verb} …",
        )

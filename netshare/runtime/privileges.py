"""What the agent gives up once it has started: every power of root's that following replicas takes no use of.

Kept are CAP_NET_ADMIN (nf_tables, conntrack, marks, bridges), CAP_NET_RAW (the segment that tells clients of a dead
connection) and CAP_NET_BIND_SERVICE (holding ports below 1024). So the agent, and the iptables it starts, may not load
modules, look into other processes, write to other users' files, mount, or change the clock; and no program it starts
may gain more (no_new_privs). It is root by name still: what root owns it may write to, and whoever may talk to Docker's
socket is root by another way. This guards against accidents more than against intent.

Capabilities are each thread's own and inherited by those it starts (capabilities(7)): so this comes before any.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path

DAC_READ_SEARCH, SETPCAP, NET_BIND_SERVICE, NET_ADMIN, NET_RAW = 2, 8, 10, 12, 13
"""Their numbers in include/uapi/linux/capability.h."""

KEPT = frozenset({NET_BIND_SERVICE, NET_ADMIN, NET_RAW})

_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _CLEAR_ALL = 23, 24, 38, 47, 4
_MOST = 64
_VERSION_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
_LIBC = ctypes.CDLL(None, use_errno=True)


def drop() -> None:
    """Give up what is not needed, for good.

    Python loads parts of itself and of netshare when they are first used. Where these belong to an ordinary user who
    lets nobody else read them, the right to read whatever there is has to be kept as well.

    Raises:
        OSError: the kernel refuses to take it, as no kernel does.

    """
    places = {Path(__file__).parents[1], *map(Path, filter(None, sys.path))}
    keep_only(KEPT if all(map(_is_readable, places)) else KEPT | {DAC_READ_SEARCH})


def keep_only(kept: Iterable[int]) -> None:
    """Give up every capability but these, and the means to regain any; what is not held is not gained."""
    mask = sum(1 << number for number in kept)
    bounding = {number for number in range(_MOST) if _LIBC.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) == 1}
    effective, permitted, inheritable = _held()
    if effective >> SETPCAP & 1:  # without it the bounding set stays: a sandbox has made it small then
        for number in bounding - set(kept):
            _checked(_LIBC.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0))
    if _LIBC.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0) and ctypes.get_errno() != errno.EINVAL:
        _checked(-1)
    if (effective | permitted | inheritable) & ~mask:  # a sandbox may forbid the call, and has left nothing to give up
        _set(effective & mask, permitted & mask, inheritable & mask)
    _checked(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _is_readable(place: Path) -> bool:
    """Whether root finds the way there without a capability; what is not there needs none."""
    for each in (place, *place.parents):
        try:
            found = each.stat()
        except OSError:
            continue
        if found.st_uid != os.geteuid() and not found.st_mode & 0o001:
            return False
    return True


def _held() -> tuple[int, int, int]:
    """Read this thread's sets: effective, permitted, inheritable."""
    header, data = (ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    _checked(_LIBC.capget(header, data))
    low, high = data[:3], data[3:]
    effective, permitted, inheritable = (one | other << 32 for one, other in zip(low, high, strict=True))
    return effective, permitted, inheritable


def _set(*sets: int) -> None:
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    words = [each & 0xFFFFFFFF for each in sets] + [each >> 32 for each in sets]
    _checked(_LIBC.capset(header, (ctypes.c_uint32 * 6)(*words)))


def _checked(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))

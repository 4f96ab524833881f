"""What the kernel must allow before a lab can be built, and how an ordinary user gets there."""

import ctypes
import errno
import os
from pathlib import Path

from netshare.errors import NotPermittedError

# <linux/sched.h>; os.unshare and os.setns came with Python 3.12 only.
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

# <linux/capability.h>: CAP_NET_ADMIN programs a network namespace, CAP_SYS_ADMIN makes one.
_NEEDED = 1 << 12 | 1 << 21

_LIBC = ctypes.CDLL(None, use_errno=True)

# What unshare(2) and the writes of the id maps answer where user namespaces are forbidden: EPERM and EACCES from a
# security module, ENOSPC and EUSERS from the limit on their number, EINVAL and ENOSYS from a kernel without them.
_FORBIDDEN = frozenset({errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EUSERS, errno.EINVAL, errno.ENOSYS})


def unshare_network() -> None:
    """Move the calling thread, and no other, into a new network namespace."""
    try:
        _unshare(CLONE_NEWNET)
    except OSError as error:
        raise NotPermittedError(
            f"the kernel refuses a network namespace: {error.strerror}",
            hint="a lab needs CAP_SYS_ADMIN and CAP_NET_ADMIN: run it with sudo",
        ) from error


def join_network(path: str) -> None:
    """Move the calling thread, and no other, into the network namespace that a path in /proc names."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _LIBC.setns(fd, CLONE_NEWNET):
            raise _os_error()
    finally:
        os.close(fd)


def may_build_networks() -> bool:
    """Whether the calling thread may make network namespaces and program them."""
    for line in Path("/proc/thread-self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return int(value, 16) & _NEEDED == _NEEDED
    return False


def gain_privileges() -> None:
    """See to it that labs can be built: as root there is nothing to do, else a user namespace gives what is needed.

    Call it early, while the process has one thread.

    Raises:
        NotPermittedError: neither is to be had on this host.

    """
    if not may_build_networks():
        enter_user_namespace()


def enter_user_namespace() -> None:
    """Move the process into user and network namespaces of its own, where it is root, and nowhere else.

    The kernel lets only a process with a single thread do so.

    Raises:
        NotPermittedError: this host does not allow it.

    """
    uid, gid = os.geteuid(), os.getegid()
    threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    if threads > 1:
        raise RuntimeError(f"a process with {threads} threads cannot change its user namespace")
    try:
        _unshare(CLONE_NEWUSER | CLONE_NEWNET)
        # An unprivileged process may map its own group only after giving up setgroups(2): user_namespaces(7).
        for name, content in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            Path("/proc/self", name).write_text(content, encoding="ascii")
    except OSError as error:
        if error.errno not in _FORBIDDEN:
            raise
        raise NotPermittedError(
            f"this host does not let an ordinary user make a network namespace: {error.strerror}",
            hint="run it with sudo, or have root allow user namespaces: kernel.unprivileged_userns_clone=1, "
            "user.max_user_namespaces above 0, kernel.apparmor_restrict_unprivileged_userns=0 (those of the three "
            "sysctls that exist here)",
        ) from error


def _unshare(flags: int) -> None:
    if _LIBC.unshare(flags):
        raise _os_error()


def _os_error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))

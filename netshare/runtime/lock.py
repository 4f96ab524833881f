"""One writer at a time: a file lock that the kernel frees when its holder ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netshare.errors import NetshareError, NotPermittedError
from netshare.runtime.directories import make


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock at ``path``; waits for whoever has it. It does not nest within one process.

    Raises:
        NotPermittedError: the file can't be made or opened by this user.

    """
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    # Never removed again: two holders of a lock file that was replaced would hold two locks.
    try:
        make(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except PermissionError as error:
        raise NotPermittedError(
            f"the lock {path} can't be opened: {error.strerror}",
            hint="run netshare as root, or set NETSHARE_RUNTIME_DIR to a directory of your own",
        ) from error
    except OSError as error:
        raise NetshareError(
            f"the lock {path} can't be opened: {error.strerror}",
            hint="it must be a plain file in a directory on a writable file system; NETSHARE_RUNTIME_DIR names another",
        ) from error


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Hold the lock at ``path`` unless somebody has it; tells which. Waits for nobody.

    Raises:
        NotPermittedError: the file can't be made or opened by this user.

    """
    descriptor = _open(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)

"""Plain files in directories that only root writes to, read with care: no link is followed, and no pipe waited for."""

import errno
import os
import stat
from pathlib import Path

from netshare.core.parse import shown

Signature = tuple[int, int, int, int]
"""What a file is known by: another one, or another content, has another."""


class NotPlainError(Exception):
    """What is there is no plain file of a sound size; the message says what it is."""


def read_plain(path: Path, largest: int, known: Signature | None = None) -> tuple[Signature, bytes | None] | None:
    """Read a file, unless it is the one that is ``known`` already; ``None`` where there is none.

    Raises:
        NotPlainError: it is not to be read.
        OSError: it can't be read.

    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotPlainError("it is a symbolic link") from error
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > largest:
            raise NotPlainError(f"it is not a plain file of at most {largest} bytes")
        signature = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return signature, None if signature == known else os.read(descriptor, largest)
    finally:
        os.close(descriptor)


def named(path: Path) -> str:
    """Name a file in a message."""
    return str(path) if str(path).isprintable() else shown(str(path))

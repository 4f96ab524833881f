"""Podman's own records, as a hint: the file in which it notes every container's state was written to.

It is the earliest sign that a replica leaves: `podman stop` notes "stopping" before it sends the stop signal, and tells
no event until the container has died. Only the fact is used, by inotify; what was noted is for the listing to say.
Looking at containers writes nothing (seen with 4.3), so a listing does not cause the next one. But every run of a
health check does, and is told as an event as well, whatever came of it: with many of them one would be listing all the
time, so this much is told with pauses.

A Podman that is not on this host, or keeps its records elsewhere, has none to follow: then its events have to do.
"""

import ctypes
import os
import select
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_NAMES = frozenset({b"bolt_state.db", b"db.sql"})
"""The database's file: BoltDB's up to 4.7, and for as long as an old host is not migrated; SQLite's since (5.x)."""

_IN_MODIFY = 0x00000002  # <sys/inotify.h>
_HEADER = struct.Struct("iIII")
_READ = 65536
_LIBC = ctypes.CDLL(None, use_errno=True)


class Records:
    """What may have been noted, told of with pauses, from when this is made until `close`."""

    def __init__(self) -> None:
        self._ending = os.eventfd(0, os.EFD_CLOEXEC)
        self._nudged = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._watched: int | None = None

    def watch(self, storage: Path) -> None:
        """Watch the records themselves: those in Podman's graphRoot, or in its folder libpod (libpod/runtime.go).

        Raises:
            OSError: this user has all the inotify instances or watches that the kernel gives one.

        """
        # Flags of a file and of an inotify descriptor are the same bits.
        self._watched = _checked(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        for directory in (storage, storage / "libpod"):
            if directory.is_dir():
                _checked(_LIBC.inotify_add_watch(self._watched, os.fsencode(directory), _IN_MODIFY))

    def nudge(self) -> None:
        """Tell, from another thread, that something may have been noted elsewhere."""
        os.eventfd_write(self._nudged, 1)

    def changes(self, patience: Callable[[], float]) -> Iterator[int]:
        """Tell each time that something may have been noted, as nanoseconds since 1970; ends on `end`.

        After each, what comes within ``patience()`` seconds is told as one, when they are over.
        """
        while self._await_change():
            yield time.time_ns()
            if self._ready(self._ending, seconds=patience()):
                return

    def end(self) -> None:
        """End `changes`, from another thread."""
        os.eventfd_write(self._ending, 1)

    def close(self) -> None:
        """Stop watching; after `changes` has ended."""
        for descriptor in (self._ending, self._nudged, self._watched):
            if descriptor is not None:
                os.close(descriptor)

    def _await_change(self) -> bool:
        """Wait for a change; false where it is time to end."""
        sources = [each for each in (self._ending, self._nudged, self._watched) if each is not None]
        while True:
            ready = self._ready(*sources)
            if self._ending in ready:
                return False
            # Both are emptied: what is told now answers for all that came before.
            is_nudged = self._nudged in ready and bool(os.eventfd_read(self._nudged))
            is_written = self._watched in ready and self._is_written(self._watched)
            if is_nudged or is_written:
                return True

    @staticmethod
    def _is_written(watched: int) -> bool:
        return any(name in _NAMES for name in _names(os.read(watched, _READ)))

    @staticmethod
    def _ready(*descriptors: int, seconds: float | None = None) -> frozenset[int]:
        """Wait until some can be read; poll(2), as the agent may have more descriptors than select(2) can count."""
        polled = select.poll()
        for descriptor in descriptors:
            polled.register(descriptor, select.POLLIN)
        return frozenset(ready for ready, _ in polled.poll(None if seconds is None else seconds * 1000))


def _names(read: bytes) -> Iterator[bytes]:
    """Split what inotify says into the names of files: inotify(7)."""
    offset = 0
    while offset < len(read):
        *_, length = _HEADER.unpack_from(read, offset)
        offset += _HEADER.size + length
        yield read[offset - length : offset].rstrip(b"\0")


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result

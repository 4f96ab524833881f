"""A lab's host with file systems of its own where it matters: engines find their usual paths, and no one's files there.

Podman keeps a lock in /dev/shm, network namespaces below /run and a cache below /var/lib/containers. They are empty
file systems in memory here, in a mount namespace that is gone, and they with it, when its last process has ended.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from netshare.lab.namespace import Namespace

# crun knows the control groups of version 1 and of version 2, not both at once (hybrid).
_SCRIPT = """
set -e
for place in /run /dev/shm /var/lib/containers; do mkdir -p $place && mount -t tmpfs none $place; done
if [ -e /sys/fs/cgroup/unified ]; then umount /sys/fs/cgroup/unified; fi
mkdir /run/lock
echo ready
exec sleep infinity
"""
_PATIENCE = 10


class Machine(Namespace):
    """A network namespace, and a mount namespace for every program that is started in it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._holder = super().popen(
            ["unshare", "--mount", "sh", "-c", _SCRIPT], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        if self._holder.stdout is None or self._holder.stdout.readline() != b"ready\n":
            self.close()
            raise RuntimeError("no mount namespace could be made")

    @property
    def root(self) -> Path:
        """Where its file system is seen from outside."""
        return Path(f"/proc/{self._holder.pid}/root")

    def popen(self, argv: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":  # noqa: ANN401 (Popen's own)
        """Start a program in both namespaces; its process is the one returned, as nsenter becomes it."""
        return super().popen(["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--", *argv], **options)

    def close(self) -> None:
        """End both namespaces, with whatever still runs in the second; a second time does nothing."""
        for pid in self._inhabitants():
            os.kill(pid, signal.SIGKILL)
        if self._holder.poll() is None:
            self._holder.kill()
            self._holder.wait(_PATIENCE)
        if self._holder.stdout is not None:
            self._holder.stdout.close()
        super().close()

    def _inhabitants(self) -> list[int]:
        """Find the processes of the mount namespace but its holder: engines leave helpers that no one waits for."""
        if self._holder.poll() is not None:
            return []
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended, or is no longer collected
                if (process / "ns/mnt").readlink() == Path(f"/proc/{self._holder.pid}/ns/mnt").readlink():
                    found.append(int(process.name))
        return [pid for pid in found if pid != self._holder.pid]

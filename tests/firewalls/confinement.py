"""A firewall's own room: a lab's network namespace, and a mount namespace in which what it writes is its own.

Real firewalls keep their settings in /etc and talk over sockets in /run. Here these are copies on a tmpfs, which is
gone with the room: nothing of the machine changes.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from netshare.lab.namespace import Namespace

_PATIENCE = 60
_SCRIPT = """
set -e
mount -t tmpfs tmpfs /var/log
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus /run/kept
for each in "$@"; do
    kept=/run/kept/$(echo "$each" | tr / _)
    cp -a "$each" "$kept"
    mount --bind "$kept" "$each"
done
echo ready
exec sleep infinity
"""


class Confinement:
    """The room, from when it is made until `close`; ``kept`` are the files and directories of which it has copies."""

    def __init__(self, namespace: Namespace, *kept: str) -> None:
        self._holder = namespace.popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SCRIPT, "sh", *kept],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = self._output.readline()
        if said != "ready\n":
            self.close()
            raise RuntimeError(f"no room for a firewall: {said}")

    @property
    def root(self) -> Path:
        """Its file system, as the machine sees it."""
        return Path(f"/proc/{self._holder.pid}/root")

    def run(self, *words: str) -> str:
        """Run a program in it, which must go well, and give what it said."""
        done = subprocess.run(
            [*self._enter(), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """Start a program in it; what it says goes to a file there."""
        with (self.root / "run" / f"{words[0]}.log").open("ab") as log:
            return subprocess.Popen(
                [*self._enter(), *words], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def said(self, program: str) -> str:
        """Read what a program said that was started."""
        return (self.root / "run" / f"{program}.log").read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """End it; who started programs in it has ended them."""
        self._holder.kill()
        self._holder.wait()
        self._output.close()

    @property
    def _output(self) -> IO[Any]:
        assert self._holder.stdout is not None
        return self._holder.stdout

    def _enter(self) -> Sequence[str]:
        return ("nsenter", "--target", str(self._holder.pid), "--mount", "--net")

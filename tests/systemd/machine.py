"""A machine that systemd started: this one's own programs over again, with units, network and processes of its own.

It is an overlay of this machine's files in systemd-nspawn. Docker is one of its services, and netshare is installed in
/opt/netshare. What it writes is in memory, and gone with it. No packet leaves it.
"""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

import docker

from tests.docker import image
from tests.outcome import Done

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "/opt/netshare/bin/python"
NETSHARE = (PYTHON, "-m", "netshare")

_PATIENCE = 90.0
_STATE = ("etc/systemd/system", "etc/docker", "etc/default/netshare", "var/lib/docker", "var/lib/netshare")
"""What of this machine's own must not be seen in the other."""


class Machine:
    """A machine, from power on to power off; `reboot` is both."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="netshare-systemd-"))
        self._root = self._directory / "root"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Build it and switch it on."""
        try:
            self._build()
            self._boot()
            with tempfile.TemporaryDirectory(prefix="netshare-image-") as directory, closing(self.docker()) as client:
                image.build(client, Path(directory))
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Switch it off and remove it."""
        self._remove()

    def run(self, *words: str) -> Done:
        """Run a program in it, as its root."""
        with self.start(*words) as process:
            out, err = process.communicate()
        return Done(process.returncode, out, err)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a program in it, as its root; it ends with what this gives."""
        # A process of another PID namespace has to be a child of nsenter's, and would outlive it.
        child = ["setpriv", "--pdeathsig", "KILL", *words]
        return subprocess.Popen(
            ["nsenter", "--target", str(self._leader()), "--all", "--", *child],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def must(self, *words: str) -> str:
        """Run a program that has to do what it should; gives what it printed."""
        done = self.run(*words)
        assert done.code == 0, f"{words}: {done.err}{done.out}"
        return done.out.strip()

    def path(self, name: str) -> Path:
        """Give a file of it, as it is seen from here."""
        return Path(f"/proc/{self._leader()}/root") / name.lstrip("/")

    def docker(self) -> docker.DockerClient:
        """Ask its dockerd."""
        return docker.DockerClient(f"unix://{self.path('/run/docker.sock')}")

    def reboot(self) -> None:
        """Switch it off in order, and on again."""
        self._power_off()
        self._boot()

    def _build(self) -> None:
        self._root.mkdir()
        changes = self._directory / "changes"
        changes.mkdir()
        _run("mount", "-t", "tmpfs", "tmpfs", str(changes))
        for name in ("upper", "work"):
            (changes / name).mkdir()
        options = f"lowerdir=/,upperdir={changes}/upper,workdir={changes}/work"
        _run("mount", "-t", "overlay", "overlay", "-o", options, str(self._root))
        for name in (*_STATE, *(f"etc/rc{level}.d" for level in "0123456S")):
            _forget(self._root / name)
        (self._root / "etc/systemd/system").mkdir()
        (self._root / "etc/machine-id").write_text(f"{uuid4().hex}\n", encoding="ascii")
        _run("systemctl", f"--root={self._root}", "--quiet", "enable", "docker.service", "docker.socket")
        self._install()

    def _install(self) -> None:
        """Make a virtual environment of the programs that run now; the files themselves are mounted into it."""
        place = self._root / "opt/netshare"
        packages = place / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
        (packages / "netshare").mkdir(parents=True)
        (packages / "dependencies.pth").write_text("/opt/dependencies\n", encoding="ascii")
        (self._root / "opt/dependencies").mkdir()
        (place / "bin").mkdir()
        base = Path(sys._base_executable).resolve()  # type: ignore[attr-defined] # noqa: SLF001 (nothing public tells it)
        (place / "bin/python").symlink_to(base)
        (place / "pyvenv.cfg").write_text(f"home = {base.parent}\n", encoding="utf-8")
        self._mounts = (
            f"--bind-ro={ROOT}/netshare:/{packages.relative_to(self._root)}/netshare",
            f"--bind-ro={sysconfig.get_path('purelib')}:/opt/dependencies",
        )

    def _boot(self) -> None:
        with (self._directory / "console").open("ab") as console:
            self._process = subprocess.Popen(
                [
                    *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--directory={self._root}"),
                    *("--private-network", "--capability=all", "--boot", *self._mounts, "--"),
                    "systemd.unit=multi-user.target",
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **os.environ,
                    # dockerd needs what an ordinary container's guest may not have.
                    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes",
                    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "yes",
                    "SYSTEMD_SECCOMP": "0",
                },
            )
        deadline = time.monotonic() + _PATIENCE
        while not self._is_up():
            assert self._process.poll() is None, self._console()
            assert time.monotonic() < deadline, self._console()
            time.sleep(0.1)

    def _is_up(self) -> bool:
        return bool(self._leaders()) and self.run("systemctl", "is-active", "--quiet", "multi-user.target").code == 0

    def _leaders(self) -> list[int]:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in children.read_text(encoding="ascii").split()]

    def _leader(self) -> int:
        (leader,) = self._leaders()
        return leader

    def _console(self) -> str:
        return (self._directory / "console").read_text(encoding="utf-8", errors="replace")[-4000:]

    def _power_off(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        for leader in self._leaders():
            os.kill(leader, signal.SIGRTMIN + 4)  # systemd(1): powers off
        try:
            self._process.wait(_PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()

    def _remove(self) -> None:
        try:
            self._power_off()
        finally:
            for mounted in (self._root, self._directory / "changes"):
                subprocess.run(["umount", "--lazy", str(mounted)], check=False, capture_output=True)
            shutil.rmtree(self._directory)


def _forget(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)

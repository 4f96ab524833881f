"""A real dockerd of the tests' own: in a network namespace of a lab, with everything it writes in one directory."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import docker
import requests

from netshare.lab.namespace import Namespace

_START_SECONDS = 60
_STOP_SECONDS = 30
_LOG_TAIL = 2000

# dockerd lives in a mount namespace of its own: what it mounts is gone with it, whatever way it ends. Docker 20.10
# writes a key to /etc/docker, wherever else it is told to live.
_SCRIPT = 'mkdir -p /etc/docker && mount -t tmpfs none /etc/docker && exec "$@"'


class DockerDaemon:
    """One dockerd, from when it is made until `stop` (or `kill`)."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        # Not below pytest's own directory: a Unix socket's path may have 107 characters only.
        self._directory = Path(tempfile.mkdtemp(prefix="netshare-docker-"))
        self.url = self._url()
        self._process = self._start()
        try:
            self.client = self._await()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it as an admin would, and remove what it wrote; a second time does nothing."""
        self.down(signal.SIGTERM)
        shutil.rmtree(self._directory, ignore_errors=True)

    def kill(self) -> None:
        """End it as a crash would, and remove what it wrote; only while it runs no container, they would go on."""
        self.down(signal.SIGKILL)
        shutil.rmtree(self._directory, ignore_errors=True)

    def up(self) -> None:
        """Start it again, unless it runs; it finds what it wrote."""
        if self._process.poll() is not None:
            self._process = self._start()
            self.client = self._await()

    def down(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, and keep what it wrote."""
        if hasattr(self, "client"):
            self.client.close()
        if self._process.poll() is not None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        if number is signal.SIGKILL:
            # Its containerd has died with it. But a process 1 that is slow to collect it, as those of some sandboxes
            # are, leaves it in the process table, and the next dockerd takes it for alive.
            (self._directory / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def pause(self) -> None:
        """Let it hang, as on a machine without memory: it neither answers nor closes its connections."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """Give the end of what it said."""
        return (self._directory / "log").read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL:]

    def _url(self) -> str:
        return f"unix://{self._directory}/docker.sock"

    def _start(self) -> "subprocess.Popen[bytes]":
        with (self._directory / "log").open("ab") as log:
            return self._namespace.popen(
                ["unshare", "--mount", "sh", "-c", _SCRIPT, "sh", *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"},
            )

    def _command(self) -> list[str]:
        config = self._directory / "daemon.json"
        config.write_text("{}", encoding="ascii")  # not that of the machine
        return [
            "dockerd",
            f"--config-file={config}",
            f"--data-root={self._directory}/data",
            f"--exec-root={self._directory}/exec",
            f"--pidfile={self._directory}/pid",
            f"--host={self.url}",
        ]

    def _await(self) -> docker.DockerClient:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"dockerd ended at once: {self.log()}")
            if self._is_listening():
                try:
                    return docker.DockerClient(self.url)
                except (docker.errors.DockerException, requests.RequestException):
                    pass  # the socket is there before the API is
            time.sleep(0.05)
        raise RuntimeError(f"dockerd did not answer in {_START_SECONDS} s: {self.log()}")

    def _is_listening(self) -> bool:
        """Look before the SDK does: it leaks its socket when it cannot connect."""
        with socket.socket(socket.AF_UNIX) as looking:
            return looking.connect_ex(self.url.removeprefix("unix://")) == 0

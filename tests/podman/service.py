"""A real Podman of the tests' own: its API service, as systemd's socket unit would start it, and its command."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.docker.daemon import DockerDaemon
from tests.podman.machine import Machine

SOCKET = "/run/podman/podman.sock"

_PATIENCE = 60
# Podman raises limits above those that a sandbox's root may have. There is no journal and no systemd in the lab.
_CONFIGURATION = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[network]
network_backend = "netavark"
network_config_dir = "{directory}/networks"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
"""
# Not in the machine's own file systems: whoever watches Podman's records from outside must find them.
_STORAGE = """
[storage]
driver = "overlay"
graphroot = "{directory}/storage"
runroot = "/run/containers/storage"
"""


class PodmanService(DockerDaemon):
    """`podman system service` on a machine, from when it is made until `stop`; containers go on without it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        super().__init__(machine)

    def down(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End the service; killed, it leaves its socket's file behind, as systemd's unit does of a stopped one."""
        super().down(number)

    def run(self, *words: str) -> str:
        """Run a `podman` command, which must go well; gives what it printed."""
        code, out, err = self.try_run(*words)
        assert code == 0, (words, err)
        return out

    def try_run(self, *words: str) -> tuple[int, str, str]:
        """Run a `podman` command; gives its exit code, what it printed, and what it complained of."""
        process = self._machine.popen(
            ["podman", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment(),
            text=True,
        )
        out, err = process.communicate(timeout=_PATIENCE)
        return process.returncode, out.strip(), err.strip()

    def stop(self) -> None:
        """End it, remove what it wrote, and the control groups that it left; after its containers."""
        super().stop()
        for parent in Path("/sys/fs/cgroup").glob("**/libpod_parent"):
            for group in (*parent.iterdir(), parent):
                if group.is_dir():
                    with suppress(OSError):  # another Podman's are in use
                        group.rmdir()

    def remove_socket(self) -> None:
        """Remove the file that `down` has left."""
        (self._machine.root / SOCKET.removeprefix("/")).unlink()

    def _url(self) -> str:
        return f"unix://{self._machine.root}{SOCKET}"

    def _start(self) -> "subprocess.Popen[bytes]":
        with (self._directory / "log").open("ab") as log:
            return self._machine.popen(
                ["podman", "system", "service", "--time", "0"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
            )

    def _environment(self) -> dict[str, str]:
        configuration, storage = (self._directory / name for name in ("containers.conf", "storage.conf"))
        configuration.write_text(_CONFIGURATION.format(directory=self._directory), encoding="ascii")
        storage.write_text(_STORAGE.format(directory=self._directory), encoding="ascii")
        return {
            **os.environ,
            "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin",
            "CONTAINERS_CONF": str(configuration),
            "CONTAINERS_STORAGE_CONF": str(storage),
        }

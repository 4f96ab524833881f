"""Programs that run in a lab, what they say when they fail, and the processor time and memory they take."""

import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from netshare.core.model import Endpoint
from netshare.lab.namespace import Namespace

PATIENCE = 180.0
_PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
_TAIL = 1500


class BenchmarkError(RuntimeError):
    """Something that was to be measured did not work."""


def program(name: str) -> str | None:
    """Find a program: in the virtual environment, on PATH, or where Debian keeps what is root's."""
    return shutil.which(name, path=_PATH)


def missing(*names: str) -> str | None:
    """Say which of these programs are not installed."""
    lacking = [name for name in names if program(name) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else None


def until(condition: Callable[[], bool], what: str, *, seconds: float = PATIENCE) -> None:
    """Wait for something that takes its time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{what}: not within {seconds:g} s")
        time.sleep(0.005)


def accepts(namespace: Namespace, at: Endpoint) -> bool:
    """Whether someone takes TCP connections there."""

    def look() -> bool:
        with socket.socket() as looking:
            looking.settimeout(1.0)
            return looking.connect_ex((str(at.address), at.port)) == 0

    return namespace.run(look)


class Process:
    """A program that runs until it is stopped; ``keep`` are the descriptors that it is handed."""

    def __init__(
        self,
        namespace: Namespace,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        keep: Sequence[int] = (),
    ) -> None:
        self.command = command
        self._log = log
        found = program(command[0]) or command[0]
        with log.open("wb") as file:
            self._popen = namespace.popen(
                [found, *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": _PATH, **(environment or {})},
                pass_fds=keep,
            )
        self.pid: int = self._popen.pid

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until it is up; if it ends before, tell what it said."""

        def is_up() -> bool:
            if self._popen.poll() is not None:
                raise BenchmarkError(f"{self.command[0]} ended: {self.said()}")
            return condition()

        try:
            until(is_up, f"{self.command[0]} to be up")
        except BenchmarkError as error:
            raise BenchmarkError(f"{error}\n{self.said()}") from None

    def said(self) -> str:
        """Give the end of what it said."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-_TAIL:]

    def stop(self) -> None:
        """End it; a second time does nothing."""
        if self._popen.poll() is None:
            self._popen.terminate()
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def kill(self) -> None:
        """End it as a crash would."""
        self._popen.kill()
        self._popen.wait()


@contextmanager
def running(process: Process) -> Iterator[Process]:
    """Have a process run for as long as the block lasts."""
    try:
        yield process
    finally:
        process.stop()


def run(
    namespace: Namespace,
    command: Sequence[str],
    *,
    given: str | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float = PATIENCE,
) -> str:
    """Run a program to its end, which must be a good one; gives what it wrote to stdout."""
    found = program(command[0]) or command[0]
    process = namespace.popen(
        [found, *command[1:]],
        stdin=subprocess.PIPE if given is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": _PATH, **(environment or {})},
    )
    try:
        out, err = process.communicate(given, timeout=seconds)
    except BaseException as error:
        process.kill()
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise BenchmarkError(f"{' '.join(command)[:200]}: not within {seconds:g} s") from None
        raise
    if process.returncode:
        raise BenchmarkError(f"{' '.join(command)[:200]}: {process.returncode}: {(err or out)[-_TAIL:]}")
    return str(out)


# Processor time and memory


def trees(pids: Iterable[int]) -> list[psutil.Process]:
    """Give processes with all that they have started."""
    found = []
    for pid in pids:
        process = psutil.Process(pid)
        found += [process, *process.children(recursive=True)]
    return found


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor time, seconds."""

    user: float = 0.0
    kernel: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        """Sum up."""
        return Spent(self.user + other.user, self.kernel + other.kernel)

    def __sub__(self, other: "Spent") -> "Spent":
        """Say what was spent since."""
        return Spent(self.user - other.user, self.kernel - other.kernel)

    @property
    def seconds(self) -> float:
        """Both together."""
        return self.user + self.kernel


def spent(pids: Iterable[int]) -> Spent:
    """Sum up the processor time that processes and their children have taken, ended children included."""
    total = Spent()
    for process in trees(pids):
        times = process.cpu_times()
        total += Spent(times.user + times.children_user, times.system + times.children_system)
    return total


def reaped() -> Spent:
    """Sum up the processor time of all children of this process that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(usage.ru_utime, usage.ru_stime)


def interrupt_threads() -> list[int]:
    """Name the kernel's threads that work off what interrupts could not finish (ksoftirqd)."""
    return [one.pid for one in psutil.process_iter(["name"]) if str(one.info["name"]).startswith("ksoftirqd/")]


def memory_mib(pids: Iterable[int]) -> float:
    """Sum up resident memory; what processes share counts once (PSS)."""
    return sum(process.memory_full_info().pss for process in trees(pids)) / (1 << 20)

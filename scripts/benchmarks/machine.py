"""What the figures were measured on: the machine, the versions, and what else the machine had to do meanwhile."""

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

import netshare
from scripts.benchmarks import processes
from scripts.benchmarks.processes import program
from scripts.benchmarks.results import Conditions, Machine

ROOT = Path(__file__).resolve().parents[2]
_NUMBER = re.compile(r"\d+\.\d[\w.+~-]*")
_ASK = {
    "nft": ["nft", "--version"],
    "iptables": ["iptables", "--version"],
    "Docker": ["dockerd", "--version"],
    "HAProxy": ["haproxy", "-v"],
    "nginx": ["nginx", "-v"],
    "nftlb": ["nftlb", "--help"],
    "Traefik": ["traefik", "version"],
    "Caddy": ["caddy", "version"],
    "Envoy": ["envoy", "--version"],
    "iperf3": ["iperf3", "--version"],
    "wrk": ["wrk", "--version"],
}


def describe() -> Machine:
    """Describe this machine."""
    versions = {"netshare": netshare.__version__, "Python": platform.python_version()}
    for name, command in _ASK.items():
        if program(command[0]) is not None:
            versions[name] = _version(command)
    memory = psutil.virtual_memory().total / (1 << 30)
    return Machine(platform.release(), _processor(), os.cpu_count() or 1, round(memory, 1), versions)


@contextmanager
def conditions(*, quick: bool) -> Iterator[list[Conditions]]:
    """Watch the machine while the block runs; the list has what it saw when the block is over."""
    seen: list[Conditions] = []
    date, commit = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), _commit()
    load, began, busy, own = os.getloadavg()[0], time.monotonic(), _busy(), _own()
    yield seen
    seconds = time.monotonic() - began
    elsewhere = max(0.0, (_busy() - busy) - (_own() - own)) / seconds
    seen.append(
        Conditions(
            date=date,
            commit=commit,
            seconds=round(seconds, 1),
            load_before=round(load, 2),
            load_after=round(os.getloadavg()[0], 2),
            busy_elsewhere=round(elsewhere, 2),
            is_quick=quick,
        )
    )


def _busy() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _own() -> float:
    """Sum up the processor time of this process and of all children that have ended; those of labs have."""
    return processes.reaped().seconds + time.process_time()


def _version(command: list[str]) -> str:
    words = [program(command[0]) or command[0], *command[1:]]
    done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    found = _NUMBER.search(done.stdout + done.stderr)
    return found[0] if found else "unknown"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    """Name the commit that was measured; a star behind it where the tree differs."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=*", "--abbrev=9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or f"{version('netshare-lb')}, Python {sys.version_info[0]}"

"""The two machines that scripts/vm made, by ssh, and as they were when the tests began, by Vagrant's snapshots."""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.outcome import Done

HOST = "192.168.56.10"
CLIENT = "192.168.56.11"
WEB = f"http://{HOST}/"
"""Vagrant's file says so."""

_ASKING = Path(__file__).with_name("asking.py").read_text(encoding="utf-8")
_WAY = tuple(shlex.split(os.environ.get("NETSHARE_VM_ENTER", "")))
"""What enters the machines' network, where that is not this one; a command comes after it."""
_PATIENCE = 180.0
"""Long enough for what takes a second on a machine of its own: these may be emulated, on a busy one."""
_SNAPSHOT = "netshare-tests"


class Machine:
    """One of the machines; programs run as its root."""

    def __init__(self, name: str, configuration: Path, sockets: Path) -> None:
        multiplexed = ("ControlMaster=auto", f"ControlPath={sockets}/{name}", "ControlPersist=yes")
        alive = ("ServerAliveInterval=5", "ServerAliveCountMax=6", "ConnectTimeout=10")
        options = (word for option in (*multiplexed, *alive, "LogLevel=ERROR") for word in ("-o", option))
        self._ssh = (*_WAY, "ssh", "-F", str(configuration), *options)
        self.name = name

    def run(self, *words: str, given: str = "", patience: float = _PATIENCE) -> Done:
        """Run a program to its end, with text as its input."""
        process = self.start(*words)
        try:
            out, err = process.communicate(given, timeout=patience)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        return Done(process.returncode, out, err)

    def must(self, *words: str, given: str = "", patience: float = _PATIENCE) -> str:
        """Run a program that has to do what it should; gives what it printed."""
        done = self.run(*words, given=given, patience=patience)
        assert done.code == 0, f"{self.name}: {shlex.join(words)}: {done}"
        return done.out.strip()

    def shell(self, script: str, *, patience: float = _PATIENCE) -> str:
        """Run a script that has to go well; gives what it printed."""
        return self.must("sh", "-eu", given=script, patience=patience)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a program, and let it run; whoever started it waits for its end."""
        return subprocess.Popen(
            [*self._ssh, self.name, f"sudo -- {shlex.join(words)}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def forwarded(self, there: str, here: Path) -> Iterator[None]:
        """Have a socket here that leads to one there, which ordinary users may use."""
        process = subprocess.Popen(
            [*self._ssh, "-o", "ControlPath=none", "-N", "-L", f"{here}:{there}", self.name], stdin=subprocess.DEVNULL
        )
        try:
            eventually(here.exists)
            yield
        finally:
            process.terminate()
            process.wait()

    def forget(self) -> None:
        """Close the connection that all programs share: the other end of it is about to be another one."""
        subprocess.run([*self._ssh, "-O", "exit", self.name], check=False, capture_output=True)


class Pair:
    """The host and the client outside it."""

    def __init__(self, configuration: Path, sockets: Path) -> None:
        self.host = Machine("host", configuration, sockets)
        self.client = Machine("client", configuration, sockets)
        self._remembered = False

    def remember(self) -> None:
        """Keep the host as it is now, memory and all; go back to what was kept, where an earlier run has done so."""
        if _SNAPSHOT in _vagrant("snapshot", "list", "host").split():
            self.restore()
        else:
            eventually(self.is_ready)
            _vagrant("snapshot", "save", "host", _SNAPSHOT)
        self._remembered = True

    def restore(self) -> None:
        """Have the host be again as it was then."""
        self.host.forget()
        _vagrant("snapshot", "restore", "host", _SNAPSHOT, "--no-provision")
        self.host.must("date", "--set", f"@{time.time():.0f}")  # its own clock stood still meanwhile

    def begin_anew(self) -> None:
        """Have the host be as it was, if it has been kept; else no test has been before this one."""
        if self._remembered:
            self.restore()

    def close(self) -> None:
        """Close the connections."""
        for machine in (self.host, self.client):
            machine.forget()

    # What the client sees

    def asking(self, *words: str) -> "subprocess.Popen[str]":
        """Start a task of asking.py on the client."""
        return self.client.start("python3", "-c", _ASKING, *words)

    def count(self, requests: int = 30, url: str = WEB) -> "Traffic":
        """Send requests from the client, one after another."""
        return Traffic(self.asking("count", url, str(requests)))

    def load(self, per_second: float, url: str = WEB) -> "Traffic":
        """Send requests from the client in the background, as long as the ``with`` block lasts."""
        return Traffic(self.asking("load", url, str(per_second)))

    def datagrams(self, address: str, port: int, total: int = 30) -> "Traffic":
        """Send datagrams from the client, one after another."""
        return Traffic(self.asking("datagrams", address, str(port), str(total)))

    # What an administrator does

    def netshare(self, *words: str) -> str:
        """Run a verb on the host, which must go well."""
        return self.host.must("netshare", *words)

    def is_ready(self) -> bool:
        """Whether there are replicas of web and all are ready; false as long as nobody can tell, too."""
        done = self.host.run("netshare", "status", "web", "-o", "json")
        return done.code == 0 and {each["state"] for each in done.document["services"][0]["replicas"]} == {"ready"}

    def close_way_in(self) -> list[str]:
        """Take away netshare's own rules in Docker's firewall, where no agent puts them back; gives them."""
        rules = [line for line in self.host.must("iptables", "-S").splitlines() if "netshare" in line]
        self.host.shell("\n".join(f"iptables {rule.replace('-A', '-D', 1)}" for rule in rules))
        return rules


class Traffic:
    """Requests under way, and what became of them."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._seen: dict[str, dict[str, int]] | None = None

    def __enter__(self) -> Self:
        """Wait until the first has been answered, and go on in the background."""
        assert self._process.stderr is not None
        assert self._process.stderr.readline().strip() == "under way", self._process.stderr.read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the last answer; do not, where something failed already."""
        with ExitStack() as cleanup:
            cleanup.callback(self._process.kill)
            if error is None:
                self._finish()

    @property
    def answers(self) -> dict[str, int]:
        """How often each replica answered."""
        return self._finish()["answers"]

    @property
    def failures(self) -> dict[str, int]:
        """What went wrong, by the exception's name or the error's, and how often."""
        return self._finish()["failures"]

    @property
    def all_answered(self) -> bool:
        """Whether nothing went wrong."""
        return not self.failures

    def answering(self) -> set[str]:
        """Who answered, where nothing may go wrong."""
        assert self.all_answered, f"{self.answers}, and {self.failures}"
        return set(self.answers)

    def _finish(self) -> dict[str, dict[str, int]]:
        if self._seen is None:
            out, err = self._process.communicate(timeout=10 * _PATIENCE)
            assert self._process.returncode == 0, err
            self._seen = json.loads(out)
        return self._seen


def eventually(condition: Callable[[], bool], *, patience: float = _PATIENCE) -> None:
    """Wait until something has come true."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.5)


def _vagrant(*words: str) -> str:
    done = subprocess.run([*_WAY, "vagrant", *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"vagrant {shlex.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout

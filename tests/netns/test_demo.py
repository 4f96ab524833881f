"""``netshare demo`` as newcomers run it: a program of its own, on the real kernel."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from netshare.errors import NetshareError
from netshare.operations import demo as operation
from netshare.operations.demo import Adapters, demo
from netshare.operations.demo_steps import Built
from tests.fakes.host import FakeHost
from tests.prerequisites import program, require, root

pytestmark = pytest.mark.netns

_ROOT = Path(__file__).parents[2]
_WATCHED = Path(__file__).with_name("watched_demo.py")
_SYSCTLS = Path("/proc/sys/net")
_LONGEST = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    code: int
    printed: str
    told: str

    def figures(self, pattern: str) -> list[int]:
        """The numbers of the one line that matches."""
        [found] = re.findall(pattern, self.printed, re.MULTILINE)
        return [int(number) for number in ([found] if isinstance(found, str) else found)]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with one for temporary files, shared as /tmp is (pytest's own are the running user's)."""
    with TemporaryDirectory() as name:
        path = Path(name)
        (path / "tmp").mkdir()
        for each in (path, path / "tmp"):
            each.chmod(0o1777)
        yield path


def environment(directory: Path) -> dict[str, str]:
    """No program to be found, and whatever is written is seen."""
    return {
        "PATH": "/nonexistent",
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "error",
        "TMPDIR": str(directory / "tmp"),
        "NETSHARE_STATE_DIR": str(directory / "state"),
        "NETSHARE_RUNTIME_DIR": str(directory / "run"),
        "DOCKER_HOST": f"unix://{directory}/nonexistent.sock",
    }


def run(directory: Path, *words: str) -> Outcome:
    command = [sys.executable, "-P", *words]  # beside a program of these tests lie modules of any name
    done = subprocess.run(
        command, env=environment(directory), capture_output=True, text=True, timeout=_LONGEST, check=False
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def check_page(outcome: Outcome) -> None:
    """The page must hold together: every request accounted for, none failed."""
    assert outcome.code == 0, outcome.told
    shares = re.findall(r"^(replica-\d)  +(172\.30\.0\.1\d:8080) +(\d+) +(\d+\.\d)%$", outcome.printed, re.MULTILINE)
    assert [name for name, *_ in shares] == ["replica-1", "replica-2", "replica-3"]
    assert sum(int(count) for _, _, count, _ in shares) == 300
    # Six standard deviations: one run in a billion would be outside.
    assert all(50 <= int(count) <= 150 for _, _, count, _ in shares)
    assert "300 answered, 0 failed; the replicas saw the client's own address, 198.18.0.2\n" in outcome.printed

    moved = re.findall(r"^(replica-\d) +(\d+) +(\d+) +(\d+)$", outcome.printed, re.MULTILINE)
    counts = {name: tuple(map(int, numbers)) for name, *numbers in moved}
    assert counts["replica-1"][0] > 0
    assert counts["replica-1"][1:] == (0, 0)
    assert counts["replica-4"][:2] == (0, 0)
    assert counts["replica-4"][2] > 0
    answered, failed = outcome.figures(r"^(\d+) answered, (\d+) failed; the slowest took .*$")
    assert (answered, failed) == (sum(map(sum, counts.values())), 0)

    assert re.search(r"^    elements = { 80 \. 0 : 172\.30\.0\.11 \. 8080,$", outcome.printed, re.MULTILINE)
    assert "numgen random mod 3" in outcome.printed
    assert "0 of its threads remain" in outcome.printed
    assert "100 answered, 0 failed, by the kernel alone\n" in outcome.printed
    assert "0 of its namespaces are left" in outcome.printed
    assert outcome.printed.endswith("(`netshare --help`)\n")


def check_harmless(outcome: Outcome, directory: Path) -> None:
    """Nothing but temporary files and the lab's own sysctls was written, nothing is left, no program or engine used."""
    did = json.loads(outcome.told)
    assert did["programs"] == []
    assert did["loaded"] == []
    temporary = f"{directory / 'tmp'}/"
    # In /proc lie the sysctls of the lab's namespaces and the maps of a user namespace, each the process's own.
    strange = [path for path in did["written"] if not path.startswith((temporary, "/proc/sys/net/", "/proc/self/"))]
    assert strange == []
    assert f"{temporary}netshare-demo-" in " ".join(did["written"]), "the definition was written nowhere"
    check_empty(directory)


def check_empty(directory: Path) -> None:
    assert list(directory.rglob("*")) == [directory / "tmp"]


def machine() -> dict[str, str]:
    """What this network namespace looks like, from outside; read only."""
    require(program("nft"), program("ip"))
    commands = {
        "ruleset": ["nft", "--stateless", "list", "ruleset"],
        "links": ["ip", "-oneline", "link"],
        "addresses": ["ip", "-oneline", "address"],
        "routes": ["ip", "route", "show", "table", "all"],
    }
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    seen = {
        name: subprocess.run(
            command, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True
        ).stdout
        for name, command in commands.items()
    }
    # valid_lft counts down
    seen["addresses"] = re.sub(r"\d+sec", "", seen["addresses"])
    return seen | {str(file): _content(file) for family in ("ipv4", "ipv6") for file in _files(_SYSCTLS / family)}


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_file()) if directory.is_dir() else iter(())


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except OSError as error:
        return str(error.strerror)


class TestAsRoot:
    def test_shows_the_main_job_and_leaves_the_machine_as_it_was(self, directory: Path) -> None:
        before = machine()
        outcome = run(directory, "-m", "netshare", "demo")
        check_page(outcome)
        assert outcome.told == ""
        check_empty(directory)
        assert machine() == before

    def test_starts_no_program_loads_no_engine_and_writes_nowhere_else(self, directory: Path) -> None:
        outcome = run(directory, str(_WATCHED))
        check_page(outcome)
        check_harmless(outcome, directory)

    def test_interrupted_it_cleans_up(self, directory: Path) -> None:
        with subprocess.Popen(
            [sys.executable, "-m", "netshare", "demo"],
            env=environment(directory),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running:
            assert running.stdout is not None
            while "3. 300 requests" not in running.stdout.readline():
                assert running.poll() is None
            time.sleep(0.05)  # into the load, which goes on for a second
            running.send_signal(signal.SIGINT)
            told = running.communicate(timeout=_LONGEST)[1]
        assert (running.returncode, told) == (130, "")
        check_empty(directory)


class TestAsAnOrdinaryUser:
    def test_shows_the_same_in_a_user_namespace(self, directory: Path) -> None:
        require(root())  # a user namespace of one user can't become another; there, every test above shows the same
        before = machine()
        outcome = run(directory, str(_WATCHED), "ordinary")
        check_page(outcome)
        check_harmless(outcome, directory)
        assert machine() == before

    def test_is_told_the_mend_where_the_host_forbids_it(self, directory: Path) -> None:
        require(program("unshare"), program("setpriv"))
        # A user namespace has limits of its own, so nothing of the machine's is changed here.
        script = 'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set -all "$@"'
        done = subprocess.run(
            [
                *("unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"),
                *(sys.executable, "-m", "netshare", "demo"),
            ],
            env=environment(directory) | {"PATH": f"{os.environ['PATH']}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
        )
        assert (done.returncode, done.stdout) == (5, "")
        message, hint = done.stderr.splitlines()
        assert "does not let an ordinary user make a network namespace" in message
        assert "sudo" in hint
        check_empty(directory)


class TestBrokenPromises:
    def test_a_kernel_that_was_not_programmed_is_found_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(operation, "_TIMEOUT", 0.2)
        fake = FakeHost()  # its driver programs nothing but itself
        closed: list[str] = []
        running = demo(lambda _: Adapters(fake.host, fake.agent, fake.sockets, lambda: closed.append("closed")), time)
        with pytest.raises(NetshareError, match=r"300 of 300 requests failed \(300 refused\)") as caught:
            list(running)
        assert "replica-1 was given no request" in caught.value.message
        assert "replica-4 was given no connection after it came" in caught.value.message
        assert "100 of 100 requests failed" in caught.value.message
        assert closed

    def test_ended_early_it_cleans_up(self) -> None:
        fake = FakeHost()
        directories: list[Path] = []

        def adapters(directory: Path) -> Adapters:
            directories.append(directory)
            return Adapters(fake.host, fake.agent, fake.sockets, lambda: None)

        running = demo(adapters, time)
        assert isinstance(next(running), Built)
        threads = threading.active_count()
        running.close()
        assert threading.active_count() < threads
        assert not directories[0].exists()

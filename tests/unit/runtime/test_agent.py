"""Who the agent is, and what a verb makes of one that does not answer."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from netshare.errors import NetfilterError, NetshareError, NotPermittedError
from netshare.runtime import agent
from netshare.runtime.agent import AgentClient, claim, encode, socket_path
from netshare.runtime.version import __version__

_CLAIM = """
import sys
from pathlib import Path
from netshare.runtime.agent import claim
with claim(Path(sys.argv[1])):
    print("claimed", flush=True)
    sys.stdin.read()
"""


@contextmanager
def answering(directory: Path, answer: bytes) -> Iterator[None]:
    """Be an agent that answers one question in this way."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(socket_path(directory)))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(100)
                connection.sendall(answer)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(20)


def test_without_an_agent_there_is_no_pid(tmp_path: Path) -> None:
    client = AgentClient(tmp_path / "none")
    assert client.pid() is None
    assert not (tmp_path / "none").exists()


def test_a_claim_tells_who_has_it_and_ends_with_the_block(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    with claim(directory):
        assert AgentClient(directory).pid() == os.getpid()
        with pytest.raises(NetshareError, match=rf"already \(pid {os.getpid()}\)"), claim(directory):
            pass
        assert AgentClient(directory).pid() == os.getpid()
    assert AgentClient(directory).pid() is None
    with claim(directory):
        pass


def test_one_of_another_version_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = AgentClient(tmp_path)
    assert client.other_version() is None
    with claim(tmp_path):
        assert client.other_version() is None
        monkeypatch.setattr(agent, "__version__", "999.0.0")
        assert client.other_version() == __version__
        assert client.pid() == os.getpid()
    assert client.other_version() is None


@pytest.mark.parametrize(
    ("written", "pid", "version"),
    [
        ("42\n", 42, None),
        ("42 0.0.9\n", 42, "0.0.9"),
        ("42 \x1b[2J\n", 42, None),
        ("\xff 1", 0, "1"),
        ("", 0, None),
        ("9" * 4000, int("9" * 128), None),
    ],
)
def test_whatever_the_lock_says(tmp_path: Path, written: str, pid: int, version: str | None) -> None:
    with claim(tmp_path):
        (tmp_path / "agent.lock").write_text(written, encoding="latin-1")
        assert (AgentClient(tmp_path).pid(), AgentClient(tmp_path).other_version()) == (pid, version)


def test_a_killed_agent_leaves_no_claim(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _CLAIM, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        assert AgentClient(tmp_path).pid() == process.pid
        process.kill()
    assert AgentClient(tmp_path).pid() is None


def test_asking_for_the_pid_never_stands_in_an_agents_way(tmp_path: Path) -> None:
    with claim(tmp_path):
        pass
    for _ in range(10):
        assert AgentClient(tmp_path).pid() is None
        with claim(tmp_path):
            assert AgentClient(tmp_path).pid() == os.getpid()


def test_a_directory_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotPermittedError, match="can't be used") as raised, claim(tmp_path / "file" / "run"):
        pass
    assert "NETSHARE_RUNTIME_DIR" in (raised.value.hint or "")


def test_an_answer_is_as_the_agent_meant_it(tmp_path: Path) -> None:
    with answering(tmp_path, encode(None)):
        AgentClient(tmp_path).sync()


def test_an_error_of_a_later_version_is_an_error(tmp_path: Path) -> None:
    with (
        answering(tmp_path, b'{"code": "unheard_of", "message": "so", "hint": null}\n'),
        pytest.raises(NetshareError, match="so") as raised,
    ):
        AgentClient(tmp_path).sync()
    assert type(raised.value) is NetshareError


@pytest.mark.parametrize("answer", [b"", b"{", b'{"code": "kernel_re', b"\xff\n"])
def test_an_answer_that_is_cut_short(tmp_path: Path, answer: bytes) -> None:
    with answering(tmp_path, answer), pytest.raises(NetshareError, match="cut short") as raised:
        AgentClient(tmp_path).sync()
    assert "log" in (raised.value.hint or "")


def test_an_agent_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "_TIMEOUT", 0.05)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(socket_path(tmp_path)))
        listening.listen()
        with pytest.raises(NetshareError, match="no answer in time"):
            AgentClient(tmp_path).sync()


def test_errors_keep_their_kind(tmp_path: Path) -> None:
    with (
        answering(tmp_path, encode(NetfilterError("the kernel refused", hint="modprobe"))),
        pytest.raises(NetfilterError, match="the kernel refused") as raised,
    ):
        AgentClient(tmp_path).sync()
    assert raised.value.hint == "modprobe"


@pytest.mark.parametrize("answer", [b"[]\n", b"7\n", b'"ok"\n', b"null\n", b"[" * 60_000])
def test_what_answers_is_no_agent(tmp_path: Path, answer: bytes) -> None:
    with answering(tmp_path, answer), pytest.raises(NetshareError, match=r"no agent|cut short"):
        AgentClient(tmp_path).sync()


def test_a_mend_that_is_no_text_is_none(tmp_path: Path) -> None:
    with (
        answering(tmp_path, b'{"code": ["x"], "message": {}, "hint": 7}\n'),
        pytest.raises(NetshareError) as raised,
    ):
        AgentClient(tmp_path).sync()
    assert raised.value.hint is None

"""The agent's socket, from a verb's question to its answer."""

import errno
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from netshare import errors
from netshare.agent import server
from netshare.agent.inbox import Inbox
from netshare.agent.server import ControlServer
from netshare.agent.telling import Telling
from netshare.errors import NetshareError
from netshare.runtime.agent import AgentClient, socket_path

Answer = Callable[[], NetshareError | None]


class Asked:
    """A server whose inbox is answered by a thread, as the loop does."""

    def __init__(self, directory: Path) -> None:
        self.inbox = Inbox()
        self.telling = Telling()
        self.causes: list[str] = []
        self.met: NetshareError | None = None
        self.server = ControlServer(directory, self.inbox, self.telling)
        self._threads = [Thread(target=self.server.serve, daemon=True), Thread(target=self._reconcile, daemon=True)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self.server.close()
        self.inbox.close()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def _reconcile(self) -> None:
        while (hints := self.inbox.take(60)) is not None:
            for hint in hints:
                self.causes.append(hint.cause)
                assert hint.done is not None
                if self.met is None:
                    hint.done.set_result(None)
                else:
                    hint.done.set_exception(self.met)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    socket_path(tmp_path).write_text("left behind by an agent that was killed")
    asked = Asked(tmp_path)
    yield asked
    asked.close()


def kinds(kind: type[NetshareError]) -> Iterator[type[NetshareError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from kinds(each)


def test_a_verb_asks_and_waits(asked: Asked, tmp_path: Path) -> None:
    AgentClient(tmp_path).sync()
    assert asked.causes == ["asked"]


def test_many_ask_at_once(asked: Asked, tmp_path: Path) -> None:
    threads = [Thread(target=AgentClient(tmp_path).sync) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert asked.causes == ["asked"] * 20


@pytest.mark.parametrize("kind", list(kinds(errors.NetshareError)))
def test_what_the_agent_met_is_raised_as_if_met_here(asked: Asked, tmp_path: Path, kind: type[NetshareError]) -> None:
    asked.met = kind("it failed: „so“\n", hint="do this")
    with pytest.raises(NetshareError) as raised:
        AgentClient(tmp_path).sync()
    assert type(raised.value) is kind
    assert (raised.value.message, raised.value.hint) == ("it failed: „so“\n", "do this")


def test_the_socket_is_for_root_alone(asked: Asked, tmp_path: Path) -> None:  # noqa: ARG001 (it is there)
    assert stat.S_IMODE(socket_path(tmp_path).stat().st_mode) == 0o600


def test_another_question_gets_no_answer_and_harms_nobody(asked: Asked, tmp_path: Path) -> None:
    for said in (b"", b"\n", b"reset\n", b"\xff" * 100):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(socket_path(tmp_path)))
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            # What was sent and not read makes the kernel answer a close with a reset.
            try:
                answer = connection.recv(100)
            except ConnectionResetError:
                answer = b""
            assert answer == b""
    AgentClient(tmp_path).sync()
    assert asked.causes == ["asked"]


def test_one_who_hangs_up_harms_nobody(asked: Asked, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(socket_path(tmp_path)))
        connection.sendall(b"sync\n")
    AgentClient(tmp_path).sync()
    assert asked.causes.count("asked") in (1, 2)


def test_closed_it_is_gone(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    asked.close()
    assert not socket_path(tmp_path).exists()
    with pytest.raises(NetshareError, match="No such file") as raised:
        AgentClient(tmp_path).sync()
    assert "restart" in (raised.value.hint or "")


def test_one_that_may_not_open_another_file_answers_again_later(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """EMFILE: it must not be taken for the end, as the agent would go on and be deaf."""
    monkeypatch.setattr(server, "_PAUSE", 0.01)
    real, failures = socket.socket.accept, iter([OSError(errno.EMFILE, "Too many open files")])

    def accept(self: socket.socket) -> tuple[socket.socket, object]:
        for failure in failures:
            raise failure
        return real(self)

    monkeypatch.setattr(socket.socket, "accept", accept)
    for _ in range(2):  # the first is taken by the accept that was under way
        AgentClient(tmp_path).sync()
    assert "Too many open files" in caplog.text
    assert asked.causes == ["asked"] * 2


def test_a_directory_whose_name_is_too_long_for_a_socket(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 100)
    directory.mkdir()
    with pytest.raises(NetshareError, match=r"can't listen on .*: AF_UNIX path too long") as raised:
        ControlServer(directory, Inbox(), Telling())
    assert "NETSHARE_RUNTIME_DIR" in (raised.value.hint or "")

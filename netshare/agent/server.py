"""The agent's socket: verbs ask it to reconcile and wait for the outcome, or listen to its events."""

import logging
import os
import socket
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

from netshare.agent.inbox import Hint, Inbox
from netshare.agent.telling import Telling
from netshare.core.event import Stage, event
from netshare.errors import NetshareError
from netshare.runtime.agent import EVENTS, FOLLOW, LONGEST_QUESTION, SYNC, encode, socket_path

_log = logging.getLogger(__name__)
_BACKLOG = 64
_PAUSE = 1.0
_PATIENCE = 50.0
"""Seconds a verb waits for a reconcile; less than it waits for the answer."""


class ControlServer:
    """Answers on the socket of one runtime directory. The caller holds its claim, so a socket there is a stale one."""

    def __init__(self, directory: Path, inbox: Inbox, telling: Telling) -> None:
        """Listen, for root alone: asking is as good as changing.

        Raises:
            NetshareError: there can be no socket in that directory.

        """
        self._telling = telling
        self._inbox = inbox
        self._closed = Event()
        self._path = socket_path(directory)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        before = os.umask(0o177)
        try:
            self._path.unlink(missing_ok=True)
            self._socket.bind(str(self._path))
            self._socket.listen(_BACKLOG)
        except OSError as error:
            self._socket.close()
            hint = (
                "NETSHARE_RUNTIME_DIR names its directory: on a writable file system, with a name of 90 bytes at most"
            )
            raise NetshareError(f"can't listen on {self._path}: {error.strerror or error}", hint=hint) from error
        finally:
            os.umask(before)

    def serve(self) -> None:
        """Answer until `close`; each in a thread of its own, as each waits for a reconcile."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError as error:
                if self._closed.is_set():
                    return
                # Too many files open, or no memory: whoever asks waits until there is room again.
                _log.warning(event(Stage.SERVE, problem=error.strerror))
                self._closed.wait(_PAUSE)
                continue
            Thread(target=self._answer, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Stop listening, and remove the socket."""
        self._closed.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # who asked may be gone by now
            connection.settimeout(_PATIENCE)
            match connection.recv(LONGEST_QUESTION).decode("ascii", "replace").split():
                case [question] if question == SYNC:
                    connection.sendall(encode(self._sync()))
                case [question, last, *follow] if question == EVENTS and last.isdecimal() and follow in ([], [FOLLOW]):
                    self._tell(connection, int(last), follow=bool(follow))

    def _tell(self, connection: socket.socket, last: int, *, follow: bool) -> None:
        try:
            self._telling.serve(connection, last=last, follow=follow)
        except NetshareError as error:
            connection.sendall(encode(error))

    def _sync(self) -> NetshareError | None:
        done: Future[None] = Future()
        self._inbox.put(Hint("asked", done=done))
        try:
            done.result(_PATIENCE)
        except NetshareError as error:
            return error
        except FutureTimeoutError:
            return NetshareError(f"the agent has not reconciled within {_PATIENCE:g} s", hint="see its log")
        return None

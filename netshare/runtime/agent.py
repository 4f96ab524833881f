"""How the agent is found by the verbs, and spoken to: a lock that names its process, and a socket beside it.

The socket takes one line a connection, ``sync``, and answers with one line of JSON once that is done: ``{}``, or the
error that was met.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netshare.errors import NetshareError, NotPermittedError

SYNC = b"sync\n"
_TIMEOUT = 60.0
_LONGEST_ANSWER = 1 << 16
_ATTEMPTS, _INSTANT = 10, 0.01
_STARTING = 5.0
"""Seconds that an agent which holds its lock may take until it listens."""


def socket_path(directory: Path) -> Path:
    """Give the path of the agent's socket in the runtime directory."""
    return directory / "agent.sock"


def _lock_path(directory: Path) -> Path:
    return directory / "agent.lock"


@contextmanager
def claim(directory: Path) -> Iterator[None]:
    """Be the agent of this runtime directory until the block ends.

    Raises:
        NetshareError: another agent is.
        NotPermittedError: the directory is not this user's to write in.

    """
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        # Readable by all, so that `status` can tell everyone whether an agent runs.
        descriptor = os.open(_lock_path(directory), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        hint = "run the agent as root, or set NETSHARE_RUNTIME_DIR to a directory of your own"
        raise NotPermittedError(f"{directory} can't be used: {error.strerror}", hint=hint) from error
    try:
        if not _lock(descriptor):
            pid = AgentClient(directory).pid()
            hint = "one is enough; stop that one first, or give this one its own NETSHARE_RUNTIME_DIR"
            raise NetshareError(f"an agent is running already (pid {pid})", hint=hint)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Take the lock; again for a moment, since a verb that looks whether an agent runs holds it for an instant."""
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_INSTANT)
        else:
            return True
    return False


class AgentClient:
    """The agent of a runtime directory, as the verbs see it."""

    def __init__(self, directory: Path) -> None:
        """Nothing is opened before it is asked."""
        self._directory = directory

    def pid(self) -> int | None:
        """Tell its process id, or that none runs: the lock ends with its holder, a stale file means nothing."""
        try:
            descriptor = os.open(_lock_path(self._directory), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            written = os.read(descriptor, 32).strip()
            return int(written) if written.isdigit() else 0
        finally:
            os.close(descriptor)
        return None

    def sync(self) -> None:
        """Have it reconcile now, and wait until it has.

        Raises:
            NetshareError: what the agent met, as if it had been met here; or the agent does not answer.

        """
        path = socket_path(self._directory)
        try:
            with self._connected(path) as connection:
                connection.sendall(SYNC)
                answer = connection.makefile("rb").readline(_LONGEST_ANSWER)
        except OSError as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else error.strerror
            hint = "see its log (journalctl -u netshare), or restart it"
            raise NetshareError(f"the agent does not answer on {path}: {reason}", hint=hint) from error
        _raise_what_was_met(answer, path)

    def _connected(self, path: Path) -> socket.socket:
        """Connect; an agent that has just been started holds its lock a moment before it listens."""
        deadline = time.monotonic() + _STARTING
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(_TIMEOUT)
            try:
                connection.connect(str(path))
            except OSError as error:
                connection.close()
                is_starting = isinstance(error, FileNotFoundError | ConnectionRefusedError) and self.pid() is not None
                if not is_starting or time.monotonic() > deadline:
                    raise
                time.sleep(_INSTANT)
            else:
                return connection


def encode(error: NetshareError | None) -> bytes:
    """Write an answer."""
    if error is None:
        return b"{}\n"
    return json.dumps({"code": error.code, "message": error.message, "hint": error.hint}).encode() + b"\n"


def _raise_what_was_met(answer: bytes, path: Path) -> None:
    try:
        met = json.loads(answer)
    except ValueError as error:
        hint = "see its log (journalctl -u netshare): it may have ended in between"
        raise NetshareError(f"the agent's answer on {path} was cut short", hint=hint) from error
    if not met:
        return
    kinds = {kind.code: kind for kind in _subclasses(NetshareError)}
    raise kinds.get(met.get("code"), NetshareError)(str(met.get("message")), hint=met.get("hint"))


def _subclasses(kind: type[NetshareError]) -> Iterator[type[NetshareError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _subclasses(each)

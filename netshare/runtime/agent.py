"""How the agent is found by the verbs, and spoken to: a lock that names its process, and a socket beside it.

The lock's file has the process id and the version, in one line.

The socket takes one line a connection and answers with one line of JSON: ``{}``, or the error that was met.

* ``sync``: reconcile; the answer comes once that is done.
* ``events LAST``, ``events LAST follow``: behind the answer come the last events, and those that follow: a line of JSON
  each (`netshare.core.event`).

Lock and socket are for the agent's user alone. A lock that others could open they could also hold: flock(2) asks for no
right to write, and whoever held it would pass for the agent, and keep every other from starting. That one runs is told
to everybody all the same, by the kernel's list of locks (proc_locks(5)).
"""

import fcntl
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netshare.errors import NetshareError, NotPermittedError
from netshare.runtime.directories import make, require_safe
from netshare.runtime.version import __version__

SYNC, EVENTS, FOLLOW = "sync", "events", "follow"
LONGEST_QUESTION = 64
_LONGEST_LOCK = 128
_VERSION = re.compile(r"[0-9A-Za-z.+!-]{1,64}")
_TIMEOUT = 60.0
_LONGEST_ANSWER = 1 << 16
_ATTEMPTS, _INSTANT = 10, 0.01
_LOCKS = Path("/proc/locks")
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
        make(directory)
        descriptor = os.open(_lock_path(directory), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unusable(directory, error) from error
    try:
        if not _lock(descriptor):
            pid = AgentClient(directory).pid()
            hint = "one is enough; stop that one first, or give this one its own NETSHARE_RUNTIME_DIR"
            raise NetshareError(f"an agent is running already (pid {pid})", hint=hint)
        try:
            os.fchmod(descriptor, 0o600)  # one that was made before it had this mode
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()} {__version__}\n".encode())
        except OSError as error:
            raise _unusable(directory, error) from error
        yield
    finally:
        os.close(descriptor)


def _unusable(directory: Path, error: OSError) -> NotPermittedError:
    hint = "run the agent as root, or set NETSHARE_RUNTIME_DIR to a directory of your own, with room left in it"
    return NotPermittedError(f"{directory} can't be used: {error.strerror}", hint=hint)


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
        """Tell its process id, or that none runs: the lock ends with its holder, a stale file means nothing.

        Raises:
            NetshareError: the runtime directory is one that somebody else could meddle with.

        """
        written = self._written()
        if not isinstance(written, str):
            return written
        first = written.partition(" ")[0]
        return int(first) if first.isdigit() else 0

    def other_version(self) -> str | None:
        """Tell its version where it is not this program's: an upgrade takes hold with the agent's next start.

        Raises:
            NetshareError: the runtime directory is one that somebody else could meddle with.

        """
        written = self._written()
        version = written.partition(" ")[2] if isinstance(written, str) else ""
        return version if _VERSION.fullmatch(version) and version != __version__ else None

    def _written(self) -> str | int | None:
        """Read what its lock says; by whom it is held, where only that is told, or ``None`` where by nobody."""
        require_safe(self._directory)
        path = _lock_path(self._directory)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except PermissionError:
            return _holder(path)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return os.read(descriptor, _LONGEST_LOCK).decode("ascii", "replace").strip()
        finally:
            os.close(descriptor)
        return None

    def sync(self) -> None:
        """Have it reconcile now, and wait until it has.

        Raises:
            NetshareError: what the agent met, as if it had been met here; or the agent does not answer.

        """
        with self._asked(SYNC):
            pass

    @contextmanager
    def events(self, last: int, *, follow: bool) -> Iterator[socket.socket]:
        """Have it tell the ``last`` events, and those that follow: lines of JSON, from a socket that ends with them.

        Raises:
            NetshareError: no agent runs, or it refuses.

        """
        with self._asked(f"{EVENTS} {last}{f' {FOLLOW}' if follow else ''}") as connection:
            connection.settimeout(None)
            yield connection

    @contextmanager
    def _asked(self, question: str) -> Iterator[socket.socket]:
        """Ask, and wait for the answer, which must be a good one."""
        path = socket_path(self._directory)
        try:
            connection = self._connected(path)
        except OSError as error:
            raise _silent(path, error) from error
        with connection:
            try:
                connection.sendall(f"{question}\n".encode())
                answer = _line(connection)
            except OSError as error:
                raise _silent(path, error) from error
            raise_what_was_met(answer, path)
            yield connection

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


def _line(connection: socket.socket) -> bytes:
    """Read up to the end of the first line, and not a byte further."""
    answer = b""
    while not answer.endswith(b"\n") and len(answer) < _LONGEST_ANSWER:
        seen = connection.recv(_LONGEST_ANSWER, socket.MSG_PEEK)
        if not seen:
            break
        answer += connection.recv(seen.find(b"\n") + 1 or len(seen))
    return answer


def _silent(path: Path, error: OSError) -> NetshareError:
    reason = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or str(error)
    hint = "see its log (journalctl -u netshare), or restart it"
    if isinstance(error, PermissionError):
        return NotPermittedError(f"the agent's socket {path} can't be used: {reason}", hint="run it as root (sudo)")
    return NetshareError(f"the agent does not answer on {path}: {reason}", hint=hint)


def encode(error: NetshareError | None) -> bytes:
    """Write an answer."""
    if error is None:
        return b"{}\n"
    return json.dumps({"code": error.code, "message": error.message, "hint": error.hint}).encode() + b"\n"


def raise_what_was_met(answer: bytes, path: Path) -> None:
    """Raise the error that an answer tells of, if it does."""
    try:
        met = json.loads(answer)
    except (ValueError, RecursionError) as error:
        hint = "see its log (journalctl -u netshare): it may have ended in between"
        raise NetshareError(f"the agent's answer on {path} was cut short", hint=hint) from error
    if met == {}:
        return
    said = met if isinstance(met, dict) else {"message": f"what answers on {path} is no agent"}
    kinds = {kind.code: kind for kind in _subclasses(NetshareError)}
    mend = said.get("hint")
    raise kinds.get(str(said.get("code")), NetshareError)(
        str(said.get("message")), hint=mend if isinstance(mend, str) else None
    )


def _holder(path: Path) -> int | None:
    """Tell who has a lock whose file may not be opened: 0 where that is a process of another PID namespace."""
    try:
        found = path.stat()
        table = _LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    where = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for words in map(str.split, table):
        # 1: FLOCK  ADVISORY  WRITE 4242 00:1a:1234 0 EOF; one that waits has "->" after its number.
        if words[1:2] == ["FLOCK"] and words[3:4] == ["WRITE"] and words[5:6] == [where]:
            return max(0, int(words[4]))
    return None


def _subclasses(kind: type[NetshareError]) -> Iterator[type[NetshareError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _subclasses(each)

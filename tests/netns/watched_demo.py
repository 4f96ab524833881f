"""Run ``netshare demo`` and tell, as JSON on stderr, what it did beside printing.

Audit events of the interpreter (PEP 578) say which files it wrote and which programs it started. With ``ordinary``, it
runs as a user without privileges: once as root first, its output thrown away, so that everything is imported that lies
where that user may not read.
"""

import ctypes
import json
import os
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

_NOBODY = 65534
_PR_SET_DUMPABLE = 4
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_PROGRAMS = ("subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.system")
_CHANGES = ("os.chmod", "os.chown", "os.mkdir", "os.remove", "os.rmdir", "os.truncate")
_MOVES = ("os.link", "os.rename", "os.symlink")

written: set[str] = set()
programs: list[str] = []
is_watched = False


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not is_watched:
        return
    if event in _PROGRAMS:
        programs.append(f"{event} {arguments!r}")
    elif event == "open" and arguments[2] & _WRITING:
        written.add(_place(arguments[0]))
    elif event in _CHANGES:
        written.add(_place(arguments[0], arguments[-1]))
    elif event in _MOVES:
        written.add(_place(arguments[1], arguments[-1]))


def _place(path: int | str | bytes | os.PathLike[str], directory: int = -1) -> str:
    """Give a path in full that may be relative to an open directory, or be an open file."""
    if isinstance(path, int):
        return str(Path(f"/proc/self/fd/{path}").readlink())
    where = Path(f"/proc/self/fd/{directory}").readlink() if directory >= 0 else Path.cwd()
    return str(where / os.fsdecode(path))


def _become_ordinary() -> None:
    os.setgroups([])
    os.setgid(_NOBODY)
    os.setuid(_NOBODY)
    # setuid(2) gives /proc/self to root until the next execve(2); an ordinary user's processes own theirs.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1)


def main() -> int:
    global is_watched  # noqa: PLW0603 (a hook can't be removed again)
    from netshare.cli.app import run  # noqa: PLC0415 (before the hook is of interest)

    if "ordinary" in sys.argv:
        with redirect_stdout(StringIO()):
            run(["demo"])
        _become_ordinary()
    sys.addaudithook(_watch)
    is_watched = True
    code = run(["demo"])
    is_watched = False
    loaded = sorted({"docker", "requests", "urllib3"} & sys.modules.keys())
    sys.stderr.write(json.dumps({"written": sorted(written), "programs": programs, "loaded": loaded}) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())

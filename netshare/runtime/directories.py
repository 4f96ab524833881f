"""The directories netshare keeps its files in: made so that nobody else can write there, and not used where they could.

Root that reads and writes below a directory of somebody else's does that user's bidding: names can be swapped for links
and other files between a look and a use. So every part of the way to a directory has to belong to root or to this user,
with nobody else allowed to write to it; a shared one with the sticky bit, as /tmp is, may stand on the way, because
there everybody can swap their own entries only. After that check no name can change under one's hands.

Users of outside this user namespace all look like one (overflowuid(5)): they can't be told from the host's root, who
owns the directories on the way, and whoever is root in here only is no more than an ordinary user out there.
"""

import os
import stat
from pathlib import Path

from netshare.errors import NetshareError, NotPermittedError

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_MOST_LINKS = 40  # MAXSYMLINKS of include/linux/namei.h
_PROC = Path("/proc")


def make(directory: Path) -> None:
    """Make a directory and what is missing on the way to it, and see that it is safe.

    Raises:
        NetshareError: somebody else could meddle with it.
        OSError: it can't be made.

    """
    require_safe(directory)
    missing = [each for each in (directory, *directory.parents) if not os.path.lexists(each)]
    for each in reversed(missing):
        each.mkdir(mode=0o755, exist_ok=True)  # each, as pathlib's own `parents` go by the umask alone
    require_safe(directory)


def require_safe(directory: Path) -> None:
    """See that nobody but root and this user can change what a directory's name leads to; one not there yet is safe.

    Raises:
        NetshareError: somebody else could.
        NotPermittedError: this user may not look.

    """
    trusted = {0, os.geteuid()} | _unmapped()
    at, ahead, links = Path("/"), list(directory.absolute().parts[1:]), 0
    while True:
        try:
            found = at.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return  # whoever opens it will say so
        except PermissionError as error:
            hint = "run netshare as root, or name directories of your own: NETSHARE_STATE_DIR, NETSHARE_RUNTIME_DIR"
            raise NotPermittedError(f"{_plain(directory)} can't be looked at: {error.strerror}", hint=hint) from error
        if found.st_uid not in trusted:
            raise _unsafe(directory, at, f"belongs to user {found.st_uid}")
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > _MOST_LINKS:
                return  # whoever opens it will say so
            at, ahead = _follow(at, ahead)
            continue
        is_shared = bool(found.st_mode & stat.S_ISVTX) and bool(ahead)
        if stat.S_ISDIR(found.st_mode) and found.st_mode & _OTHERS_MAY_WRITE and not is_shared:
            raise _unsafe(directory, at, f"can be written to by others (mode {stat.S_IMODE(found.st_mode):04o})")
        if not ahead:
            return
        at = at.parent if ahead[0] == ".." else at / ahead[0]
        ahead = ahead[1:]


def _follow(link: Path, ahead: list[str]) -> tuple[Path, list[str]]:
    """Give where to go on from behind a symbolic link, and what is ahead from there."""
    goal = link.readlink()
    if goal.is_absolute():
        return Path("/"), [*goal.parts[1:], *ahead]
    return link.parent, [*goal.parts, *ahead]


def _unmapped() -> set[int]:
    """Give the number that users have who are none in this user namespace; none has it in the first one."""
    mapped = (_PROC / "self/uid_map").read_text(encoding="ascii").split()
    if mapped == ["0", "0", str((1 << 32) - 1)]:
        return set()
    return {int((_PROC / "sys/kernel/overflowuid").read_text(encoding="ascii"))}


def _unsafe(directory: Path, at: Path, why: str) -> NetshareError:
    what = "it" if at == directory else _plain(at)
    return NetshareError(
        f"{_plain(directory)} is not safe to use: {what} {why}, who could swap what is in it",
        hint="use a directory whose every parent is root's or your own, and which nobody else may write to "
        "(chown root, chmod go-w); NETSHARE_STATE_DIR and NETSHARE_RUNTIME_DIR name it",
    )


def _plain(path: Path) -> str:
    return str(path) if str(path).isprintable() else ascii(str(path))

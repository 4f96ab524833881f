"""Which revision of the source this netshare is: as noted when it was built, or as its checkout says. No git is run.

The build reads `of_checkout` from this very file, before anything is installed (scripts/build_hook.py): so nothing of
netshare's is imported here.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

NOTE = "revision.json"
"""Beside this file, in whatever was built from a checkout."""

_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit, by its hash in hexadecimal digits, and whether the files differ from it (``None``: nobody knows)."""

    commit: str
    is_modified: bool | None = None


def revision() -> Revision | None:
    """Tell which revision this is; ``None``: it was built from a tree without git's records."""
    here = Path(__file__).resolve().parent
    try:
        noted = json.loads(_read(here / NOTE))
    except OSError:
        return of_checkout(here.parents[1])
    return Revision(noted["revision"], noted["modified"])


def of_checkout(tree: Path) -> Revision | None:
    """Read which commit a tree is a checkout of (gitrepository-layout(5)); ``None``: of none that can be read."""
    try:
        records = _records(tree)
        head = _read(records / "HEAD").strip()
        commit = _commit_of(head.removeprefix("ref: "), records) if head.startswith("ref: ") else head
    except (OSError, ValueError):
        return None
    return Revision(commit) if commit is not None and _HASH.fullmatch(commit) else None


def _records(tree: Path) -> Path:
    """Find the records of a tree: in ``.git``, or, for one of several worktrees, where that says."""
    own = tree / ".git"
    return own if own.is_dir() else tree / _read(own).strip().removeprefix("gitdir: ")


def _commit_of(reference: str, records: Path) -> str | None:
    shared = records
    if (records / "commondir").is_file():
        shared = records / _read(records / "commondir").strip()
    for each in (records / reference, shared / reference):
        if each.is_file():
            return _read(each).strip()
    lines = map(str.split, _read(shared / "packed-refs").splitlines())
    return next((words[0] for words in lines if words[1:] == [reference]), None)


def _read(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(_LONGEST)

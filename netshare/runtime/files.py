"""Files that are replaced as a whole: whoever reads one finds what was there before, or all of what is there now."""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes, *, lasting: bool) -> None:
    """Put a file in place of the one at ``path``, by a rename; readable by all, writable by its owner.

    ``lasting``: a power cut right after this loses nothing of it. What a reboot makes worthless anyway need not last.

    Raises:
        OSError: it can't be written; what was there is there still.

    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor has no path)
            os.fchmod(descriptor, 0o644)
            file.write(content)
            if lasting:
                file.flush()
                os.fsync(descriptor)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if lasting:
        sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make a rename or a removal last through a power cut: it is the directory's content, not the file's."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

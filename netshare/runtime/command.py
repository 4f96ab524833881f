"""The one place that starts other programs: a list of words, never a shell, and nothing is waited for without end."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

_SBIN = "/usr/sbin:/sbin:/usr/local/sbin"
"""Where an administrator's tools are, and where an ordinary user's PATH does not look."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program came to."""

    code: int
    out: str
    err: str

    @property
    def last_words(self) -> str:
        """What it said of its failure, in one line."""
        words = self.err.strip().splitlines()
        return words[0] if words else f"exit code {self.code}"


def find(program: str) -> str | None:
    """Give a program's path; ``None`` where it is not installed."""
    return shutil.which(program) or shutil.which(program, path=_SBIN)


def run(
    path: str,
    *arguments: str,
    given: str | None = None,
    timeout: float,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run a program to its end; ``environment``: in place of this process's own.

    Raises:
        TimeoutError: it did not end in time, and was killed.

    """
    try:
        done = subprocess.run(
            [path, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{path} did not end within {timeout:g} s") from error
    return Ended(done.returncode, done.stdout, done.stderr)

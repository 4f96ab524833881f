"""Others' changes to the kernel's firewall, as hints: what they took away of netshare's is put back at once."""

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from netshare.agent.inbox import Hint


class Commits(Protocol):
    """Commits to the kernel's firewall by others."""

    def next(self, timeout: float | None = None) -> str | None:
        """Wait for one and name the program; ``None`` when the time is over, or after `close`."""

    def close(self) -> None:
        """End every `next`, now and later."""


class KernelMonitor:
    """Tells of a commit by others at once, and of what follows it when that is over, or every ``most`` seconds.

    A firewall's reload takes hundreds of commits; one is over when ``settle`` seconds have passed without another.
    """

    def __init__(
        self, commits: Commits, tell: Callable[[Hint], None], *, settle: float = 0.02, most: float = 0.1
    ) -> None:
        self._commits = commits
        self._tell = tell
        self._settle = settle
        self._most = most

    def follow(self) -> None:
        """Follow the commits until `close`."""
        while (author := self._commits.next()) is not None:
            self._tell_of([author])
            while followers := self._gather():
                self._tell_of(followers)

    def close(self) -> None:
        """End `follow`."""
        self._commits.close()

    def _tell_of(self, authors: Iterable[str]) -> None:
        self._tell(Hint(f"firewall changed by {' and '.join(dict.fromkeys(authors))}"))

    def _gather(self) -> list[str]:
        """Gather the commits that come one behind the other; none where it stays quiet."""
        authors: list[str] = []
        end = time.monotonic() + self._most
        while time.monotonic() < end and (author := self._commits.next(self._settle)) is not None:
            authors.append(author)
        return authors

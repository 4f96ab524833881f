"""Others' changes to the kernel's firewall, as hints: what they took away of netshare's is put back at once."""

import time
from collections.abc import Callable
from typing import Protocol

from netshare.agent.inbox import Hint


class Commits(Protocol):
    """Commits to the kernel's firewall by others."""

    def next(self, timeout: float | None = None) -> str | None:
        """Wait for one and name the program; ``None`` when the time is over, or after `close`."""

    def close(self) -> None:
        """End every `next`, now and later."""


class KernelMonitor:
    """Tells of every commit by others; of a burst (a firewall's reload takes hundreds) now and then, and at its end.

    ``settle`` is how long, in seconds, nothing must happen for a burst to be over, ``most`` how long one is waited for.
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
            self._tell(Hint(f"firewall changed by {self._burst(author)}"))

    def close(self) -> None:
        """End `follow`."""
        self._commits.close()

    def _burst(self, first: str) -> str:
        """Wait for a burst to pass; names who took part."""
        authors = {first: None}
        end = time.monotonic() + self._most
        while time.monotonic() < end and (author := self._commits.next(self._settle)) is not None:
            authors[author] = None
        return " and ".join(authors)

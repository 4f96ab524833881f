"""How commits by others become hints."""

from collections.abc import Iterable
from queue import Empty, SimpleQueue

from netshare.agent.inbox import Hint
from netshare.agent.monitor import KernelMonitor


class FakeCommits:
    """Commits one behind the other, then silence, then perhaps more."""

    def __init__(self, *bursts: Iterable[str]) -> None:
        self._waiting: SimpleQueue[str | None] = SimpleQueue()
        for burst in bursts:
            for author in burst:
                self._waiting.put(author)
            self._waiting.put(None)

    def next(self, timeout: float | None = None) -> str | None:
        while True:
            try:
                author = self._waiting.get_nowait()
            except Empty:
                return None
            if author is not None or timeout is not None:
                return author

    def close(self) -> None:
        raise NotImplementedError


def hints(*bursts: Iterable[str]) -> list[str]:
    told: list[Hint] = []
    KernelMonitor(FakeCommits(*bursts), told.append).follow()
    return [hint.cause for hint in told]


def test_a_single_commit_is_told_of_at_once() -> None:
    assert hints(["nft"]) == ["firewall changed by nft"]


def test_of_a_burst_the_first_is_told_of_at_once_and_the_others_together() -> None:
    assert hints(["ufw", *["iptables-restor"] * 300, "ufw"]) == [
        "firewall changed by ufw",
        "firewall changed by iptables-restor and ufw",
    ]


def test_two_bursts_are_two() -> None:
    assert hints(["nft", "nft"], ["dockerd"]) == [
        "firewall changed by nft",
        "firewall changed by nft",
        "firewall changed by dockerd",
    ]


def test_a_burst_that_does_not_end_is_told_of_again_and_again() -> None:
    told: list[Hint] = []
    KernelMonitor(FakeCommits(["nft"] * 50), told.append, most=0).follow()
    assert len(told) >= 1

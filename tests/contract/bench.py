"""A driver under test, and how often its kernel was changed, whether that kernel is real or a variable."""

from collections.abc import Callable
from dataclasses import dataclass

from netshare.core.diff import diff
from netshare.core.ruleset import Ruleset
from netshare.netfilter.driver import Driver


@dataclass(frozen=True)
class Bench:
    """``commits`` counts the transactions that changed something; only its differences mean anything."""

    driver: Driver
    commits: Callable[[], int]

    def start(self, ruleset: Ruleset) -> None:
        """Bring the kernel from nothing to a ruleset."""
        self.driver.remove_all()
        self.driver.apply(diff(Ruleset(), ruleset, rebuild=True))

    def change(self, after: Ruleset) -> None:
        """Bring the kernel from what it holds to another ruleset, and see that it got there in one commit at most."""
        before = self.driver.observe()
        assert before.intact
        change, commits = diff(before.ruleset, after), self.commits()
        self.driver.apply(change)
        assert self.commits() - commits == (0 if change.is_empty else 1)
        self.check(after)

    def check(self, expected: Ruleset) -> None:
        """See that the kernel holds a ruleset, and nothing but it."""
        observation = self.driver.observe()
        assert observation.ruleset == expected
        assert observation.intact
        assert set(observation.connections) == expected.targets

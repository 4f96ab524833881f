"""The committed walkthrough is what the code does."""

from pathlib import Path

from tests.walkthrough import walkthrough

COMMITTED = Path(__file__).parents[1] / "walkthrough.txt"


def test_the_committed_copy_is_true() -> None:
    shown = "\n".join(walkthrough()) + "\n"
    assert shown == COMMITTED.read_text(), "renew it: python -m tests.walkthrough > tests/walkthrough.txt"

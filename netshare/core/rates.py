"""How fast counters rise: two looks at them, and what lies between."""

from collections.abc import Mapping
from dataclasses import dataclass

from netshare.core.ruleset import Target


@dataclass(frozen=True, slots=True)
class Counts:
    """The new connections each target had been given in all, at one moment, in seconds on a clock that never jumps."""

    at: float
    totals: Mapping[Target, int]


def rates(before: Counts, now: Counts) -> dict[Target, float]:
    """Tell the new connections a second of each target that is counted now.

    A count that is lower than it was began anew in between, as one that was not there before did: at zero. So what is
    left of it is what is known to have come since.
    """
    seconds = now.at - before.at
    if seconds <= 0:
        return {}
    return {target: _risen(before.totals.get(target, 0), total) / seconds for target, total in now.totals.items()}


def _risen(before: int, now: int) -> int:
    return now - before if now >= before else now

"""The arithmetic of ``-m statistic``: rules in sequence, each of which sees only what those before it have left.

Ten rules of 10 % each with a last one for the rest give that last one 39 %: of n slots, the k-th rule has to take one
in n - k (k from 0) of what reaches it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from netshare.core.model import Endpoint, Strategy

_UNIT = 1 << 31  # the kernel compares 31 random bits (net/netfilter/xt_statistic.c)


@dataclass(frozen=True, slots=True)
class Share:
    """What one rule takes: ``taken`` of the ``left`` slots that no rule before it has taken."""

    endpoint: Endpoint
    taken: int
    left: int

    @property
    def is_last(self) -> bool:
        """Whether it takes all that reaches it."""
        return self.taken == self.left

    @property
    def probability(self) -> str:
        """How likely it takes what reaches it, as ``iptables-save`` prints it: to 31 bits."""
        return f"{round(_UNIT * self.taken / self.left) / _UNIT:.11f}"


def shares(strategy: Strategy, slots: Sequence[Endpoint]) -> Iterator[Share]:
    """Share slots out, in their order: in turn each has a rule, at random neighbours that are the same share one."""
    left = len(slots)
    runs = (
        ((slot,) for slot in slots) if strategy is Strategy.ROUND_ROBIN else (tuple(own) for _, own in groupby(slots))
    )
    for run in runs:
        yield Share(run[0], len(run), left)
        left -= len(run)

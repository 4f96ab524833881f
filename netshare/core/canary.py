"""A canary's share: the weights that give some replicas so many per cent of the new connections. Pure.

Shares are made of slots, whole ones, so a share is exact where the slots can be: 10 % beside three replicas of weight 1
is one slot in ten. Where an exact one would take more slots than the kernel should hold for a service, it is the
nearest that can be had with those.
"""

from collections.abc import Mapping
from fractions import Fraction

MOST_SLOTS = 4096


def weights(olds: Mapping[str, int], canaries: Mapping[str, int], percent: int) -> dict[str, int]:
    """Give everyone's weight: among the old ones and among the canaries they relate as before."""
    old, new = sum(olds.values()), sum(canaries.values())
    if not old or not new or not 0 < percent < 100:  # noqa: PLR2004 (per cent)
        return {**olds, **canaries}
    # A canary's weight is multiplied by a, an old one's by b, so that a * new / (a * new + b * old) is the share.
    wanted = Fraction(percent * old, (100 - percent) * new)
    most = max(1, MOST_SLOTS * (100 - percent) // (100 * old))
    nearest = wanted.limit_denominator(most) or Fraction(1, most)
    return {name: weight * nearest.denominator for name, weight in olds.items()} | {
        name: weight * nearest.numerator for name, weight in canaries.items()
    }

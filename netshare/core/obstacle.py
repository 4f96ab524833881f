"""What keeps traffic from replicas and is not netshare's to change."""

from collections.abc import Iterable, Set
from dataclasses import dataclass

from netshare.core.model import Family
from netshare.core.ruleset import Ruleset


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something of this host's that stands in the way, and what its owner can do about it.

    ``certain`` is false where rules of its own may let netshare's traffic by, which can't be told from here.
    """

    family: Family
    where: str
    message: str
    mend: str
    certain: bool = True

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.message} ({self.mend})"


def in_the_way(obstacles: Iterable[Obstacle], families: Set[Family]) -> tuple[Obstacle, ...]:
    """Pick those that concern a family in use; one that concerns both is told of once."""
    told: dict[str, Obstacle] = {}
    for obstacle in obstacles:
        if obstacle.family in families:
            told.setdefault(str(obstacle), obstacle)
    return tuple(told.values())


def families_served(ruleset: Ruleset) -> frozenset[Family]:
    """Tell in which families some service has an endpoint."""
    return frozenset(
        family
        for family in Family
        if any(match.family is family and dispatch.slots for match, dispatch in ruleset.dispatches.items())
    )

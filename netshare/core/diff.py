"""What must change in the kernel to get from what it holds to what is wanted."""

from collections.abc import Mapping
from dataclasses import dataclass

from netshare.core.links import IPNetwork
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target


@dataclass(frozen=True, slots=True)
class Change:
    """One transaction's worth of difference between two rulesets.

    ``rebuild`` asks for everything anew, whatever is there: the fixed part is missing or was altered.
    """

    before: Ruleset
    after: Ruleset
    rebuild: bool
    removed: Mapping[Match, Dispatch]
    added: Mapping[Match, Dispatch]
    altered: Mapping[Match, tuple[Dispatch, Dispatch]]
    targets_removed: frozenset[Target]
    targets_added: frozenset[Target]
    hairpins_removed: frozenset[IPNetwork]
    hairpins_added: frozenset[IPNetwork]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (
            self.rebuild
            or self.removed
            or self.added
            or self.altered
            or self.targets_removed
            or self.targets_added
            or self.hairpins_removed
            or self.hairpins_added
        )


def diff(before: Ruleset, after: Ruleset, *, rebuild: bool = False) -> Change:
    """Compare two rulesets; the order of neither matters. What is the same object is not gone through."""
    old, new = before.dispatches, after.dispatches
    are_same = old is new
    return Change(
        before=before,
        after=after,
        rebuild=rebuild,
        removed={} if are_same else {match: dispatch for match, dispatch in old.items() if match not in new},
        added={} if are_same else {match: dispatch for match, dispatch in new.items() if match not in old},
        altered={}
        if are_same
        else {
            match: (old[match], dispatch) for match, dispatch in new.items() if match in old and old[match] != dispatch
        },
        targets_removed=before.targets - after.targets,
        targets_added=after.targets - before.targets,
        hairpins_removed=before.hairpins - after.hairpins,
        hairpins_added=after.hairpins - before.hairpins,
    )

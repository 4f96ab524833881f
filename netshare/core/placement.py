"""Which driver programs what: one ruleset taken apart by drivers, and put together again.

A driver does not look at `Dispatch.driver`, and what it reads back bears the name it has by default.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from netshare.core.links import IPNetwork, Link, in_use
from netshare.core.model import NFTABLES
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target

NOTHING = Ruleset()


def parts(ruleset: Ruleset, names: Iterable[str], default: str, held: Mapping[str, Ruleset]) -> dict[str, Ruleset]:
    """Give each driver its part of a ruleset.

    A target that no slot names, as its replica drains or is not ready yet, stays with the driver that counts it
    already, or else goes to the default one.
    """
    there = list(names)
    if {each.driver for each in ruleset.dispatches.values()} <= {default} and all(
        name == default or held.get(name, NOTHING) == NOTHING for name in there
    ):
        is_handed_over = default != NFTABLES
        whole = replace(ruleset, dispatches=_handed_over(ruleset.dispatches, default)) if is_handed_over else ruleset
        return {name: whole if name == default else NOTHING for name in there}
    own = {name: _handed_over(ruleset.dispatches, name) for name in there}
    targets = {name: ruleset.targets & named(dispatches) for name, dispatches in own.items()}
    for target in ruleset.targets.difference(*targets.values()):
        home = next((name for name in there if target in held.get(name, NOTHING).targets), default)
        targets[home] |= {target}
    return {name: Ruleset(own[name], targets[name], _hairpins(ruleset, targets[name])) for name in there}


def together(rulesets: Mapping[str, Ruleset]) -> Ruleset:
    """Put together what drivers hold. A listener that two of them have is the first one's."""
    used = {name: ruleset for name, ruleset in rulesets.items() if ruleset != NOTHING}
    if set(used) <= {NFTABLES}:
        return used.get(NFTABLES, NOTHING)
    dispatches: dict[Match, Dispatch] = {}
    for name, ruleset in used.items():
        for match, each in ruleset.dispatches.items():
            dispatches.setdefault(match, replace(each, driver=name))
    return Ruleset(
        dispatches,
        frozenset().union(*(ruleset.targets for ruleset in used.values())),
        frozenset().union(*(ruleset.hairpins for ruleset in used.values())),
    )


def before_leaving(name: str, wanted: Mapping[str, Ruleset], held: Ruleset) -> Ruleset:
    """Give what a driver should hold until others have taken over what leaves it: that, and all that is wanted."""
    elsewhere = {match for other, ruleset in wanted.items() if other != name for match in ruleset.dispatches}
    leaving = {match: each for match, each in held.dispatches.items() if match in elsewhere}
    own = wanted[name]
    if not leaving:
        return own
    return Ruleset({**leaving, **own.dispatches}, own.targets | named(leaving), own.hairpins | held.hairpins)


def named(dispatches: Mapping[Match, Dispatch]) -> frozenset[Target]:
    """Give the targets that slots name."""
    return frozenset(
        Target(match.protocol, endpoint) for match, each in dispatches.items() for endpoint in set(each.slots)
    )


def _handed_over(dispatches: Mapping[Match, Dispatch], name: str) -> Mapping[Match, Dispatch]:
    own = {match: each for match, each in dispatches.items() if each.driver == name}
    return own if name == NFTABLES else {match: replace(each, driver=NFTABLES) for match, each in own.items()}


def _hairpins(ruleset: Ruleset, targets: frozenset[Target]) -> frozenset[IPNetwork]:
    subnets = (Link("", subnet) for subnet in ruleset.hairpins)
    return frozenset(link.network for link in in_use(subnets, (target.endpoint.address for target in targets)))

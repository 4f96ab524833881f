"""``rules``: what netshare holds in the kernel, in the words of the kernel's own tool."""

from dataclasses import dataclass, replace

from netshare.core.placement import named
from netshare.core.ruleset import Ruleset
from netshare.host import Host


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one driver as text; ``others`` hold some as well.

    ``is_intact`` is false where some of them are missing or were altered by another hand.
    """

    driver: str
    others: tuple[str, ...]
    text: str
    is_empty: bool
    is_intact: bool


def rules(host: Host, driver: str | None = None) -> Rules:
    """Read what is programmed, by the driver that is named, or by the one that programs anything."""
    observation = host.driver.observe()
    held = observation.ruleset
    used = sorted({each.driver for each in held.dispatches.values()})
    chosen = driver or (used[0] if len(used) == 1 else host.driver.name)
    part = held if used in ([], [chosen]) else _only(held, chosen)
    is_empty = not part.dispatches and (not observation.intact or chosen != host.driver.name)
    text = "" if is_empty else host.driver.render(part)
    return Rules(chosen, tuple(name for name in used if name != chosen), text, is_empty, observation.intact)


def _only(ruleset: Ruleset, driver: str) -> Ruleset:
    own = {match: each for match, each in ruleset.dispatches.items() if each.driver == driver}
    return replace(ruleset, dispatches=own, targets=ruleset.targets & named(own))

"""``rules``: what netshare holds in the kernel, in the words of the kernel's own tool."""

from dataclasses import dataclass

from netshare.reconcile import Host


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules as text; ``is_intact`` is false where some of them are missing or were altered by another hand."""

    text: str
    is_empty: bool
    is_intact: bool


def rules(host: Host) -> Rules:
    """Read what is programmed."""
    observation = host.driver.observe()
    is_empty = not observation.intact and not observation.ruleset.dispatches
    return Rules("" if is_empty else host.driver.render(observation.ruleset), is_empty, observation.intact)

"""All drivers of a host as one: each programs the services that are placed on it, and they move without a gap.

The kernel keeps nf_tables and legacy xtables side by side, so both can be in use at once. A service that changes its
driver comes to the new one before it leaves the old one: in between both send a new connection to the same replicas,
and NAT is set up once a flow. Established flows go on by their entry in conntrack.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from netshare.core.diff import Change, diff
from netshare.core.model import AUTO, NFTABLES, Service
from netshare.core.placement import NOTHING, before_leaving, parts, together
from netshare.core.ruleset import Ruleset, Target
from netshare.netfilter.driver import Driver, Observation, Offer


class HostDrivers:
    """Several drivers behind the protocol of one; see `netshare.netfilter.driver.Driver`.

    ``default`` programs the services that name none; ``auto`` is the first driver that this host has.
    """

    def __init__(self, drivers: Mapping[str, Driver], default: str, look: Callable[[], Mapping[str, Offer]]) -> None:
        """``look`` asks what each of them can do here; not before it is needed, and once."""
        self._drivers = drivers
        self._default = default
        self._look = look
        self._seen: Mapping[str, Observation] | None = None
        self._holders: Mapping[str, str] = {}

    @cached_property
    def offers(self) -> Mapping[str, Offer]:
        """What each of them can do here."""
        return self._look()

    @property
    def name(self) -> str:
        """The driver of services that name none."""
        if self._default != AUTO:
            return self._default
        return next(iter(self._usable()), NFTABLES)

    def place(self, service: Service) -> str:
        """Name the driver that a service asks for, else the host's.

        Where nobody has said which that is, a service stays where it was when it was last looked for, if it can: the
        environment of a verb may say less than the agent's does.
        """
        holder, is_free = self._holders.get(service.owner), service.driver == AUTO == self._default
        if is_free and holder in self._usable() and service.strategy in self.offers[holder].strategies:
            return holder
        return service.placed(self.name)

    def observe(self) -> Observation:
        """Read back what all of them hold, as one."""
        seen = self._seen = self._observations()
        counted = _sum(each.connections for each in seen.values())
        held = together(_rulesets(seen))
        self._holders = {each.service: each.driver for each in held.dispatches.values()}
        newer = max((each.newer for each in seen.values() if each.newer is not None), default=None)
        return Observation(held, self._is_intact(seen), counted, newer)

    def connections(self) -> Mapping[Target, int]:
        """Read back what all of them have counted."""
        return _sum(self._drivers[name].connections() for name in self._usable())

    def apply(self, change: Change) -> None:
        """Commit each driver's part: what comes to one before what leaves another."""
        if change.is_empty:
            return
        seen, self._seen = self._seen or self._observations(), None
        wanted = parts(change.after, seen, self.name, _rulesets(seen))
        between = {name: before_leaving(name, wanted, each.ruleset) for name, each in seen.items()}
        for name, each in seen.items():
            is_new = not each.intact and (between[name] != NOTHING or each.is_there)
            is_all = (each.ruleset, between[name], is_new) == (change.before, change.after, change.rebuild)
            self._drivers[name].apply(change if is_all else diff(each.ruleset, between[name], rebuild=is_new))
        in_use = [name for name, ruleset in wanted.items() if ruleset != NOTHING] or [self.name]
        for name, each in seen.items():
            if name not in in_use:
                if each != Observation():
                    self._drivers[name].remove_all()
            else:
                self._drivers[name].apply(diff(between[name], wanted[name]))

    def remove_all(self) -> None:
        """Remove everything of netshare's from all of them."""
        self._seen = None
        for name in self._usable():
            self._drivers[name].remove_all()

    def render(self, ruleset: Ruleset) -> str:
        """Write a ruleset down, each part in the words of its driver's tool."""
        own = parts(ruleset, self._drivers, self.name, _rulesets(self._seen or {}))
        used = [name for name, part in own.items() if part.dispatches] or [self.name]
        return "\n".join(self._drivers[name].render(own[name]) for name in used)

    def _usable(self) -> list[str]:
        return [name for name in self._drivers if self.offers[name].missing is None]

    def _observations(self) -> dict[str, Observation]:
        return {name: self._drivers[name].observe() for name in self._usable()}

    def _is_intact(self, seen: Mapping[str, Observation]) -> bool:
        """Whether nothing is damaged, and nothing left over: a fixed part that serves nobody, a listener in two."""
        listeners = [match for each in seen.values() for match in each.ruleset.dispatches]
        in_use = [name for name, each in seen.items() if each.ruleset != NOTHING] or [self.name]
        return len(listeners) == len(set(listeners)) and all(
            each.intact is (name in in_use) for name, each in seen.items()
        )


def _sum(counts: Iterable[Mapping[Target, int]]) -> Mapping[Target, int]:
    found: dict[Target, int] = {}
    for each in counts:
        found |= {target: count + found.get(target, 0) for target, count in each.items()}
    return found


def _rulesets(seen: Mapping[str, Observation]) -> dict[str, Ruleset]:
    return {name: each.ruleset for name, each in seen.items()}

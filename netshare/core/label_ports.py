"""Which ports labels may have: first come, first served, and nobody's label takes anything from anybody.

A port goes to

1. what `attach` holds, and services whose replicas or definition can't be read just now;
2. a service of labels that the kernel holds there already;
3. whoever outside netshare has it: a container that publishes it, a process that listens;
4. a new service of labels, in order of names.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Set

from netshare.core.model import BY_LABELS, IPAddress, Listener, Protocol, Service
from netshare.core.plan import matches_of
from netshare.core.ruleset import Ruleset

MAX_LISTENERS = 64
"""How many listeners one service can have by labels."""
MAX_LISTENERS_IN_ALL = 1024
MAX_SLOTS_IN_ALL = 1 << 19
"""Labels' share of the kernel's memory, of the order of 100 MB at most: what `attach` asks for has no such limit."""


class Ports:
    """Who has which port, and what labels may still ask for."""

    def __init__(
        self,
        attached: Iterable[Service],
        held: Ruleset,
        untouchable: Set[str],
        rival: Callable[[Listener], str | None],
    ) -> None:
        """``untouchable`` owners keep what they hold; ``rival`` names who of outside netshare has a listener."""
        self._taken: dict[tuple[int, Protocol], list[tuple[IPAddress | None, str]]] = {}
        self._held = held
        self._rival = rival
        self._granted: Counter[str] = Counter()
        self._slots = 0
        self._asked = 0
        for service in attached:
            for listener in service.listeners:
                self._take(listener, f"service {service.name}, which is attached by hand, has it")
        for match, dispatch in held.dispatches.items():
            if dispatch.service in untouchable:
                name = dispatch.service.removesuffix(BY_LABELS)
                self._take(Listener(match.port, match.protocol, match.address), f"service {name} has it")

    def refusal(self, listener: Listener, owner: str, slots: int) -> str | None:
        """Give a listener to an owner who needs so many slots for it, or say why not."""
        for address, reason in self._taken.get((listener.port, listener.protocol), ()):
            # Of two listeners on a port, the one on a single address takes from the one on all of them.
            if address in (None, listener.address):
                return reason
        if self._granted[owner] >= MAX_LISTENERS:
            return f"a service has at most {MAX_LISTENERS} ports by labels"
        self._asked += 1
        if self._asked > MAX_LISTENERS_IN_ALL or self._slots + slots > MAX_SLOTS_IN_ALL:
            return "labels ask for more than netshare lets them have in all"
        if not is_held(listener, owner, self._held) and (rival := self._rival(listener)) is not None:
            return rival
        self._granted[owner] += 1
        self._slots += slots
        self._take(listener, f"service {owner.removesuffix(BY_LABELS)} has it by its labels")
        return None

    def _take(self, listener: Listener, reason: str) -> None:
        self._taken.setdefault((listener.port, listener.protocol), []).append((listener.address, reason))


def is_held(listener: Listener, owner: str, held: Ruleset) -> bool:
    """Whether the kernel holds a listener as this owner's."""
    dispatches = held.dispatches
    return any(match in dispatches and dispatches[match].service == owner for match in matches_of(listener))


def order(listener: Listener) -> tuple[int, str, int, int]:
    """Put listeners in order: by port, then by protocol, those on every address first."""
    address = listener.address
    where = (0, 0) if address is None else (address.version, int(address))
    return listener.port, listener.protocol.value, *where

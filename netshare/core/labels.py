"""What a container's own labels say, checked as any hostile input: whoever may start a container may write them.

Pure. `netshare.core.labelled` makes services of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from netshare.core import checks, parse
from netshare.core.model import HealthCheck, Listener, Protocol, Strategy
from netshare.errors import UsageError

PREFIX = "netshare."
SERVICE = "netshare.service"
PORT = "netshare.port"
TO = "netshare.to"
NETWORK = "netshare.network"
WEIGHT = "netshare.weight"
STRATEGY = "netshare.strategy"
HEALTH = "netshare.health"
DRAIN = "netshare.drain"
POD = "netshare.pod"
POD_ROLE = "netshare.pod.role"
POD_PORTS = "netshare.pod.ports"
KNOWN = (SERVICE, PORT, TO, NETWORK, WEIGHT, STRATEGY, HEALTH, DRAIN, POD, POD_ROLE, POD_PORTS)
"""Those of a pod are netshare's own, on the containers that `netshare pod` makes: see `netshare.core.pods`."""

MAX_PORTS = 64
"""How many ports one container can ask for."""
_LONGEST = 4096

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Labels:
    """What one container says of itself.

    ``listeners`` are what it asks to be put behind, each with its own port as ``to``; ``to`` is that port where it is
    the same for all, and for listeners that are not of its asking.
    """

    service: str | None = None
    listeners: tuple[Listener, ...] = ()
    to: int | None = None
    network: str | None = None
    weight: int | None = None
    strategy: Strategy | None = None
    health: HealthCheck | None = None
    drain: float | None = None

    def target(self, listener: Listener) -> int | None:
        """Give the container's own port for a listener, if its labels tell."""
        asked = next((own.to for own in self.listeners if own.overlaps(listener)), None)
        return asked or self.to

    def asks_for(self, listener: Listener) -> bool:
        """Whether it is to be put behind a listener that labels made: one that names no port is behind them all."""
        return not self.listeners or any(own.overlaps(listener) for own in self.listeners)


NONE = Labels()
"""What most containers say."""


def read(labels: Mapping[str, str]) -> Labels:
    """Read a container's labels.

    Raises:
        UsageError: one of them can't be used; it is named.

    """
    if not any(key.startswith(PREFIX) for key in labels):
        return NONE
    listeners = _one(labels, PORT, _listeners) or ()
    targets = _one(labels, TO, _targets) or ()
    if len(targets) > 1 and len(targets) != len(listeners):
        raise UsageError(f"its label {TO} names {len(targets)} ports, and {PORT} {len(listeners)}")
    single = targets[0] if len(targets) == 1 else None
    own = targets if len(targets) > 1 else (single,) * len(listeners)
    return Labels(
        service=_one(labels, SERVICE, parse.service_name),
        listeners=tuple(replace(listener, to=to) for listener, to in zip(listeners, own, strict=True)),
        to=single,
        network=_one(labels, NETWORK, parse.network_name),
        weight=_one(labels, WEIGHT, parse.weight),
        strategy=_one(labels, STRATEGY, parse.strategy),
        health=_one(labels, HEALTH, checks.health_check),
        drain=_one(labels, DRAIN, parse.drain),
    )


def service(labels: Mapping[str, str]) -> str | None:
    """Read the service that a container names, whatever its other labels say; none where that is not a name."""
    try:
        return _one(labels, SERVICE, parse.service_name)
    except UsageError:
        return None


def unknown(labels: Mapping[str, str]) -> list[str]:
    """List the labels that look like netshare's and are not."""
    return sorted(key for key in labels if key.startswith(PREFIX) and key not in KNOWN)


def _one(labels: Mapping[str, str], key: str, read: Callable[[str], _Value]) -> _Value | None:
    word = labels.get(key)
    if word is None:
        return None
    if len(word) > _LONGEST:
        raise UsageError(f"its label {key} can't be used: it has {len(word)} characters")
    try:
        return read(word.strip())
    except UsageError as error:
        raise UsageError(f"its label {key} can't be used: {error.message}", hint=error.hint) from None


def _listeners(word: str) -> tuple[Listener, ...]:
    found: dict[tuple[int, Protocol, str], Listener] = {}
    for listener in map(parse.listener, _words(word)):
        if found.setdefault((listener.port, listener.protocol, str(listener.address)), listener) is not listener:
            raise UsageError(f"it names {listener} twice")
    return tuple(found.values())


def _targets(word: str) -> tuple[int, ...]:
    return tuple(map(parse.port_number, _words(word)))


def _words(word: str) -> list[str]:
    words = [part.strip() for part in word.split(",")]
    if len(words) > MAX_PORTS:
        raise UsageError(f"it names {len(words)} ports, and {MAX_PORTS} are the most")
    return words

"""Fields of an engine's answers, read one by one: Docker's API and Podman's share them. Pure, and forgiving.

Answers are input like any other: fields are missing on some versions, have other types on others, and a name may hold
anything. Nothing here raises on a strange one.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from netshare.core.model import IPAddress, Protocol

Answer = Mapping[str, Any]
"""An object of the API, whose fields may be anything."""

_LONGEST = 1024
"""Characters of a text that are looked at: what engines name, and say of a state, is far shorter."""
_MAX_PORT = 65535
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def plain(value: object) -> str:
    """Text that may be shown: a name that can't move a terminal's cursor, break a log line or fill a screen."""
    if not isinstance(value, str):
        return ""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value[:_LONGEST])


def mapping(value: object) -> Answer:
    """Give the object that should stand here, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> Iterator[Answer]:
    """Give the objects of the list that should stand here."""
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def labels(value: object) -> dict[str, str]:
    """Give the labels that are text."""
    return {key: text for key, text in mapping(value).items() if isinstance(text, str)}


def addresses(endpoint: Answer, *, ipv6: bool = True) -> tuple[IPAddress, ...]:
    """Read a container's addresses on one network, IPv4 first."""
    keys = ("IPAddress", "GlobalIPv6Address") if ipv6 else ("IPAddress",)
    return tuple(address for key in keys if (address := _address(endpoint.get(key))) is not None)


def _address(value: object) -> IPAddress | None:
    """Read an address that a container can have; loopback and the like would lead back into the host."""
    try:
        address = ip_address(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if (
        address is None
        or address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
    ):
        return None
    return address


def port(value: object) -> int | None:
    """Read a port's number."""
    return value if type(value) is int and 0 < value <= _MAX_PORT else None


def protocol(value: object) -> Protocol | None:
    """Read a transport protocol; nothing where it is none that can be shared."""
    name = plain(value)
    return Protocol(name) if name in set(Protocol) else None


def host_address(value: object) -> IPAddress | None:
    """Read the host address of a published port; 0.0.0.0, ::, nothing and nonsense are every address."""
    try:
        address = ip_address(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if address is None or address.is_unspecified else address


def time_ns(value: object) -> int:
    """Read one of the engine's points in time, as nanoseconds since 1970; 0 where it is none. To the microsecond."""
    try:
        when = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return 0
    return (when - _EPOCH) // _MICROSECOND * 1000 if when is not None and when.tzinfo is not None else 0

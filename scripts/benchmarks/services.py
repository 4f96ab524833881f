"""Many services, as netshare's own words for the kernel, and one of them that changes."""

from collections.abc import Sequence
from ipaddress import IPv4Address

from netshare.core.model import Endpoint, Family, Protocol, Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target

ENDPOINTS = 10
_SLOT = 4
PortOf = tuple[Protocol, int, Sequence[Endpoint]]


def ports(services: int) -> list[PortOf]:
    """Make so many ports, each with ten endpoints."""
    first = IPv4Address("10.0.0.0")
    return [
        (Protocol.TCP, 1 + one, tuple(Endpoint(first + one * ENDPOINTS + number, 8080) for number in range(ENDPOINTS)))
        for one in range(services)
    ]


def ruleset(services: int) -> Ruleset:
    """Make them a ruleset, as `attach NAME PORT` would: IPv6 refuses."""
    dispatches: dict[Match, Dispatch] = {}
    for protocol, port, endpoints in ports(services):
        name = f"service-{port}"
        dispatches[Match(Family.IP, protocol, port)] = Dispatch(name, Strategy.RANDOM, tuple(endpoints))
        dispatches[Match(Family.IP6, protocol, port)] = Dispatch(name)
    targets = (Target(Protocol.TCP, endpoint) for dispatch in dispatches.values() for endpoint in dispatch.slots)
    return Ruleset(dispatches, frozenset(targets))


class Changing:
    """The service in the middle, whose fifth endpoint is replaced by another again and again."""

    def __init__(self, services: int) -> None:
        self.protocol, self.port, self.endpoints = ports(services)[services // 2]
        self._match = Match(Family.IP, self.protocol, self.port)
        self._number = 0

    def next(self) -> tuple[Endpoint, Endpoint]:
        """Replace it; gives the old one and the new one."""
        self._number += 1
        old, new = self.endpoints[_SLOT], Endpoint(IPv4Address("172.16.0.0") + self._number, 8080)
        self.endpoints = (*self.endpoints[:_SLOT], new, *self.endpoints[_SLOT + 1 :])
        return old, new

    def ruleset(self, before: Ruleset, old: Endpoint, new: Endpoint) -> Ruleset:
        """Say what is wanted after that."""
        dispatch = before.dispatches[self._match]
        after = Dispatch(dispatch.service, dispatch.strategy, tuple(self.endpoints))
        targets = before.targets - {Target(self.protocol, old)} | {Target(self.protocol, new)}
        return Ruleset({**before.dispatches, self._match: after}, targets)

    def by_nft(self, old: Endpoint, new: Endpoint) -> str:
        """Write the same change, to netshare's own table, for nft."""
        return f"""\
delete element inet netshare tcp-ip-endpoints {{ {self.port} . {_SLOT} }}
add element inet netshare tcp-ip-endpoints {{ {self.port} . {_SLOT} : {new.address} . {new.port} }}
delete element inet netshare connections-ip {{ {old.address} . tcp . {old.port} }}
add element inet netshare connections-ip {{ {new.address} . tcp . {new.port} }}
"""

"""What the tests of attach share."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_address

from netshare.core.model import Endpoint, Family, Protocol, StaticEndpoint
from netshare.core.ruleset import Match
from netshare.operations.attach import Attached, attach
from netshare.operations.request import AttachRequest
from netshare.operations.waiting import Waiting
from tests.fakes.driver import FakeClock
from tests.fakes.host import FakeHost

WEB = AttachRequest("web", 80)
HTTP = Match(Family.IP, Protocol.TCP, 80)
HTTP6 = Match(Family.IP6, Protocol.TCP, 80)


def endpoint(address: str, port: int) -> Endpoint:
    return Endpoint(ip_address(address), port)


def static(*addresses: str, port: int | None = None) -> tuple[StaticEndpoint, ...]:
    return tuple(StaticEndpoint(ip_address(address), port) for address in addresses)


def run(
    fake: FakeHost,
    request: AttachRequest = WEB,
    *,
    on_sleep: Callable[[float], None] | None = None,
    progress: Callable[[Waiting], None] = lambda _: None,
    **changes: object,
) -> Attached:
    wanted = replace(request, **changes)  # type: ignore[arg-type]
    return attach(fake.host, fake.agent, fake.sockets, wanted, clock=FakeClock(on_sleep), progress=progress)


def slots(fake: FakeHost, match: Match = HTTP) -> list[str]:
    """Say where the kernel sends connections."""
    return [str(slot) for slot in fake.driver.observe().ruleset.dispatches[match].slots]


def names(replicas: Iterable[object]) -> list[str]:
    return [str(getattr(replica, "name", replica)) for replica in replicas]

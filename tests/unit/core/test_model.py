from ipaddress import ip_address

import pytest

from netshare.core.model import Endpoint, Family, Listener, Protocol, Service, StaticEndpoint
from netshare.core.ruleset import Match

TEN, LOOPBACK, SIX = ip_address("10.0.0.1"), ip_address("127.0.0.1"), ip_address("fd00::2")


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (Endpoint(TEN, 8080), "10.0.0.1:8080"),
        (Endpoint(SIX, 8080), "[fd00::2]:8080"),
        (StaticEndpoint(TEN), "10.0.0.1"),
        (StaticEndpoint(SIX), "fd00::2"),
        (StaticEndpoint(SIX, 80), "[fd00::2]:80"),
        (Listener(80), "80/tcp"),
        (Listener(53, Protocol.UDP, TEN), "10.0.0.1:53/udp"),
        (Listener(9, Protocol.SCTP, SIX), "[fd00::2]:9/sctp"),
        (Match(Family.IP, Protocol.TCP, 80), "ip tcp 80"),
        (Match(Family.IP6, Protocol.UDP, 53, SIX), "ip6 udp [fd00::2]:53"),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_everything_is_said_in_one_form(thing: object, words: str) -> None:
    assert str(thing) == words


@pytest.mark.parametrize(("address", "family"), [(TEN, Family.IP), (SIX, Family.IP6)])
def test_an_address_has_a_family(address: object, family: Family) -> None:
    assert Family.of(ip_address(str(address))) is family
    assert Endpoint(ip_address(str(address)), 1).family is family


@pytest.mark.parametrize(
    ("one", "other", "is_overlap"),
    [
        (Listener(80), Listener(80), True),
        (Listener(80), Listener(80, to=8080), True),
        (Listener(80), Listener(81), False),
        (Listener(80), Listener(80, Protocol.UDP), False),
        (Listener(80), Listener(80, address=TEN), False),
        (Listener(80, address=TEN), Listener(80, address=TEN), True),
        (Listener(80, address=TEN), Listener(80, address=LOOPBACK), False),
    ],
    ids=str,
)
def test_listeners_overlap_only_on_the_very_same_place(one: Listener, other: Listener, is_overlap: bool) -> None:  # noqa: FBT001
    assert one.overlaps(other) is is_overlap
    assert other.overlaps(one) is is_overlap


def test_a_service_is_static_when_its_replicas_are_listed() -> None:
    assert not Service("web", (Listener(80),)).is_static
    assert Service("web", (Listener(80),), endpoints=(StaticEndpoint(TEN),)).is_static

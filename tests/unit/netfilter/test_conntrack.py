from ipaddress import ip_address

import pytest

from netshare.core.model import Endpoint, Protocol
from netshare.core.ruleset import Target
from netshare.netfilter.conntrack import count, count_by_way
from netshare.netfilter.nftables.chains import DEFAULT_MARK
from tests.unit.netfilter.conntrack_messages import CLIENT, LISTENER, direction, flow

FOUR, SIX = Endpoint(ip_address("172.17.0.2"), 8080), Endpoint(ip_address("fd00:17::2"), 8080)


@pytest.mark.parametrize("is_shaped_otherwise", [False, True])
def test_flows_are_counted_by_the_endpoint_that_answers(*, is_shaped_otherwise: bool) -> None:
    messages = [
        flow(endpoint, protocol, is_shaped_otherwise=is_shaped_otherwise)
        for endpoint in (FOUR, FOUR, SIX)
        for protocol in Protocol
    ]
    assert count(messages, DEFAULT_MARK) == {
        Target(protocol, endpoint): number for endpoint, number in ((FOUR, 2), (SIX, 1)) for protocol in Protocol
    }


# By the numbers of include/uapi/linux/netfilter/nf_conntrack_{tcp,sctp}.h.
@pytest.mark.parametrize(
    ("protocol", "is_open"),
    [
        (Protocol.TCP, [False, False, True, True, True, True, False, False, False, False]),
        (Protocol.SCTP, [False, False, True, True, True, False, False, False, True, True]),
    ],
)
def test_only_what_is_not_over_counts(protocol: Protocol, is_open: list[bool]) -> None:
    for state, expected in enumerate(is_open):
        assert count([flow(FOUR, protocol, state=state)], DEFAULT_MARK) == (
            {Target(protocol, FOUR): 1} if expected else {}
        ), f"{protocol} state {state}"


def test_by_the_way_they_go_those_that_nobody_has_answered_yet_count_too() -> None:
    messages = [flow(FOUR, Protocol.TCP, state=state) for state in (1, 3, 7)]
    messages += [flow(SIX, Protocol.UDP), flow(SIX, Protocol.SCTP, state=7), flow(FOUR, mark=0), memoryview(b"")]
    assert count_by_way(messages, DEFAULT_MARK) == {(Protocol.TCP, 80, FOUR): 2, (Protocol.UDP, 80, SIX): 1}


@pytest.mark.parametrize("mark", [None, 0, 0x00800000, 0xFEFFFFFF])
def test_the_flows_of_others_do_not_count(mark: int | None) -> None:
    assert count([flow(FOUR, mark=mark)], DEFAULT_MARK) == {}


@pytest.mark.parametrize("mark", [DEFAULT_MARK, 0xFFFFFFFF, DEFAULT_MARK | 1])
def test_the_other_bits_of_the_mark_are_others_business(mark: int) -> None:
    assert count([flow(FOUR, mark=mark)], DEFAULT_MARK) == {Target(Protocol.TCP, FOUR): 1}


def test_a_protocol_without_ports_does_not_count() -> None:
    ping = direction(1, 1, CLIENT[4], LISTENER[4]) + direction(2, 1, FOUR, CLIENT[4])
    assert count([memoryview(ping), memoryview(b"")], DEFAULT_MARK) == {}

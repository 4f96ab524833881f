"""Whatever the kernel sends of its tracked flows, reading it never fails and never counts what is not there."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from netshare.core.model import Endpoint, Protocol
from netshare.core.ruleset import Target
from netshare.netfilter.conntrack import count
from netshare.netfilter.nftables.chains import DEFAULT_MARK
from tests.unit.netfilter.conntrack_messages import flow

ENDPOINTS = [Endpoint(ip_address(address), 8080) for address in ("172.17.0.2", "fd00:17::2")]
flows = st.builds(
    flow,
    st.sampled_from(ENDPOINTS),
    st.sampled_from(Protocol),
    state=st.none() | st.integers(0, 255),
    mark=st.none() | st.integers(0, 0xFFFFFFFF) | st.just(DEFAULT_MARK),
    is_shaped_otherwise=st.booleans(),
)


@given(flows, st.data())
def test_a_message_that_is_cut_short_counts_for_nothing_more(message: memoryview, data: st.DataObject) -> None:
    whole = count([message], DEFAULT_MARK)
    cut = count([message[: data.draw(st.integers(0, len(message)))]], DEFAULT_MARK)
    assert cut in (whole, {})


@given(flows, st.data())
def test_damaged_bytes_never_raise(message: memoryview, data: st.DataObject) -> None:
    damaged = bytearray(message)
    for position, byte in data.draw(st.dictionaries(st.integers(0, len(damaged) - 1), st.integers(0, 255))).items():
        damaged[position] = byte
    assert sum(count([memoryview(damaged)], DEFAULT_MARK).values()) <= 1


@given(st.binary(max_size=300))
def test_anything_at_all_never_raises(message: bytes) -> None:
    assert sum(count([memoryview(message)], DEFAULT_MARK).values()) <= 1


@given(st.lists(st.tuples(st.sampled_from(ENDPOINTS), st.sampled_from(Protocol), st.booleans()), max_size=20))
def test_both_ways_of_reading_agree(flows_: list[tuple[Endpoint, Protocol, bool]]) -> None:
    expected: dict[Target, int] = {}
    for endpoint, protocol, _ in flows_:
        target = Target(protocol, endpoint)
        expected[target] = expected.get(target, 0) + 1
    messages = [flow(endpoint, protocol, is_shaped_otherwise=other) for endpoint, protocol, other in flows_]
    assert count(messages, DEFAULT_MARK) == expected

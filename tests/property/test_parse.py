"""Whatever the words: a sound value, or a `UsageError` with a mend; what is written back is read the same."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from netshare.core import parse
from netshare.core.model import IPAddress, Protocol, StaticEndpoint
from netshare.errors import UsageError

READERS: list[Callable[[str], object]] = [
    parse.service_name,
    parse.port_number,
    parse.port_and_protocol,
    parse.listen_address,
    parse.endpoint,
    parse.label_selector,
    parse.network_name,
    parse.duration,
    parse.strategy,
    parse.driver,
    parse.engine,
]

ports = st.integers(1, 65535)
words = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="0123456789abcdef:.[]/%=-_ \n\x1b", max_size=40),
    st.ip_addresses().map(str),
)
addresses: st.SearchStrategy[IPAddress] = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@pytest.mark.parametrize("read", READERS)
@given(word=words)
def test_any_word_is_read_or_refused_with_a_mend(read: Callable[[str], object], word: str) -> None:
    refusal = refusal_of(read, word)
    assert refusal is None or refusal.hint
    assert refusal is None or (refusal.message.isprintable() and len(refusal.message) < 250)


def refusal_of(read: Callable[[str], object], word: str) -> UsageError | None:
    try:
        read(word)
    except UsageError as refusal:
        return refusal
    return None


@given(port=ports, protocol=st.sampled_from(Protocol))
def test_a_port_is_read_as_it_is_written(port: int, protocol: Protocol) -> None:
    assert parse.port_and_protocol(f"{port}/{protocol}") == (port, protocol)
    assert parse.port_number(str(port)) == port


def is_usable(address: IPAddress) -> bool:
    if isinstance(address, IPv6Address):
        odd = address.ipv4_mapped is not None or address.is_link_local
    else:
        odd = address >= IPv4Address("240.0.0.0")
    return not (odd or address.is_multicast or address.is_unspecified or address.is_loopback)


@given(address=addresses, port=st.none() | ports)
def test_an_endpoint_is_read_as_it_is_written(address: IPAddress, port: int | None) -> None:
    assume(is_usable(address))
    endpoint = StaticEndpoint(address, port)
    assert parse.endpoint(str(endpoint)) == endpoint


@given(address=addresses)
def test_an_address_to_listen_on_is_read_as_it_is_written(address: IPAddress) -> None:
    assume(is_usable(address))
    assert parse.listen_address(str(address)) == address

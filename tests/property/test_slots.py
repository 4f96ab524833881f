"""Slot tables: weights are honoured exactly, and Maglev moves only what it must."""

from collections import Counter
from ipaddress import IPv4Address
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netshare.core import maglev
from netshare.core.model import Endpoint, Strategy
from netshare.core.slots import table

endpoints = st.builds(Endpoint, st.ip_addresses(), st.integers(1, 65535))
weights = st.dictionaries(endpoints, st.integers(0, 256), max_size=12)
MOST_MOVED = {2: 0.001, 3: 0.002, 5: 0.004, 10: 0.009, 50: 0.014}
"""Of all slots, how many another endpoint's may move at most when one of N goes."""


@given(weights, st.sampled_from([Strategy.RANDOM, Strategy.ROUND_ROBIN]))
@settings(deadline=None)
def test_weights_are_honoured_exactly_in_a_full_cycle(weighted: dict[Endpoint, int], strategy: Strategy) -> None:
    cycle = table(strategy, weighted)
    shares = Counter(cycle)
    total = sum(weighted.values())
    assert shares.keys() == {endpoint for endpoint, weight in weighted.items() if weight}
    assert all(shares[endpoint] * total == weighted[endpoint] * len(cycle) for endpoint in shares)


@given(weights, st.sampled_from(Strategy), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=30)
def test_the_order_of_endpoints_does_not_matter(
    weighted: dict[Endpoint, int], strategy: Strategy, random: Random
) -> None:
    shuffled = list(weighted.items())
    random.shuffle(shuffled)
    assert table(strategy, dict(shuffled)) == table(strategy, weighted)


@given(st.dictionaries(endpoints, st.integers(1, 256), min_size=1, max_size=12))
@settings(deadline=None, max_examples=30)
def test_maglev_gives_each_endpoint_its_share(weighted: dict[Endpoint, int]) -> None:
    shares = Counter(maglev.table(weighted))
    total = sum(weighted.values())
    assert sum(shares.values()) == maglev.SIZE
    for endpoint, weight in weighted.items():
        assert abs(shares[endpoint] - maglev.SIZE * weight / total) <= 2 + len(weighted)


@pytest.mark.parametrize("number", sorted(MOST_MOVED))
def test_losing_one_moves_only_its_clients(number: int) -> None:
    for network in range(3):
        everyone = [Endpoint(IPv4Address(f"10.{network}.0.{host + 1}"), 8080) for host in range(number)]
        before = maglev.table(dict.fromkeys(everyone, 1))
        for gone in everyone[:4]:
            after = maglev.table({endpoint: 1 for endpoint in everyone if endpoint != gone})
            moved = sum(old not in (new, gone) for old, new in zip(before, after, strict=True))
            assert moved <= MOST_MOVED[number] * maglev.SIZE


def test_the_size_is_prime() -> None:
    assert all(maglev.SIZE % divisor for divisor in range(2, int(maglev.SIZE**0.5) + 1))


def test_the_same_client_is_led_to_the_same_endpoint_for_ever() -> None:
    """A table of another release would move everybody: so these are written down."""
    three = {Endpoint(IPv4Address(f"172.18.0.{host}"), 8080): 1 for host in (2, 3, 4)}
    table_now = maglev.table(three)
    assert [str(table_now[slot].address) for slot in (0, 1, 2, 1000, 16380)] == [
        "172.18.0.4",
        "172.18.0.2",
        "172.18.0.4",
        "172.18.0.2",
        "172.18.0.2",
    ]

from ipaddress import ip_address

import pytest

from netshare.core.model import Endpoint, Strategy
from netshare.core.slots import table


def at(address: str, port: int = 80) -> Endpoint:
    return Endpoint(ip_address(address), port)


A, B, C = at("10.0.0.1"), at("10.0.0.2"), at("10.0.0.3")


def letters(weights: dict[Endpoint, int], strategy: Strategy = Strategy.ROUND_ROBIN) -> str:
    return "".join({A: "a", B: "b", C: "c"}[endpoint] for endpoint in table(strategy, weights))


def test_equal_weights_take_one_slot_each_in_the_order_of_numbers() -> None:
    given = [at("10.0.0.10"), at("fd00::1"), at("10.0.0.9", 8080), at("10.0.0.9")]
    expected = (at("10.0.0.9"), at("10.0.0.9", 8080), at("10.0.0.10"), at("fd00::1"))
    assert table(Strategy.RANDOM, dict.fromkeys(given, 1)) == expected
    assert table(Strategy.RANDOM, dict.fromkeys(reversed(given), 7)) == expected


@pytest.mark.parametrize("strategy", Strategy)
def test_nothing_and_no_weight_have_no_slot(strategy: Strategy) -> None:
    assert table(strategy, {}) == ()
    assert table(strategy, {A: 0}) == ()
    assert set(table(strategy, {A: 0, B: 3})) == {B}


@pytest.mark.parametrize(
    ("weights", "cycle"),
    [
        ({A: 1, B: 1, C: 1}, "abc"),
        ({A: 2, B: 1}, "aba"),
        ({A: 4, B: 2}, "aba"),
        ({A: 5, B: 1, C: 1}, "aabacaa"),
        ({A: 1, B: 2, C: 3}, "cbacbc"),
        ({A: 256, B: 128}, "aba"),
    ],
)
def test_round_robin_is_smooth(weights: dict[Endpoint, int], cycle: str) -> None:
    assert letters(weights) == cycle


def test_random_repeats_an_endpoint_by_its_weight() -> None:
    assert letters({A: 2, B: 1, C: 3}, Strategy.RANDOM) == "aabccc"

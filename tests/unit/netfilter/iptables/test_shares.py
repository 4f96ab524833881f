"""The arithmetic of rules in sequence, against the popular recipe that gets it wrong."""

from collections import Counter
from fractions import Fraction
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netshare.core.model import Endpoint, Strategy
from netshare.netfilter.iptables.shares import Share, shares

A, B, C = (Endpoint(ip_address(f"10.0.0.{number}"), 80) for number in (1, 2, 3))


def given_to(chances: list[Fraction]) -> list[Fraction]:
    """Work out what each of several rules in sequence takes of everything."""
    left, taken = Fraction(1), []
    for chance in chances:
        taken.append(left * chance)
        left -= taken[-1]
    assert left == 0, "somebody is sent nowhere"
    return taken


def test_ten_rules_of_ten_per_cent_give_the_last_of_ten_39_per_cent() -> None:
    popular = given_to([Fraction(1, 10)] * 9 + [Fraction(1)])
    assert round(float(popular[-1]), 2) == 0.39
    assert popular[0] == Fraction(1, 10)


@given(st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=300), st.sampled_from(Strategy))
def test_everybody_gets_what_their_slots_say(slots: list[Endpoint], strategy: Strategy) -> None:
    rules = list(shares(strategy, slots))
    taken: Counter[Endpoint] = Counter()
    for rule, part in zip(rules, given_to([Fraction(rule.taken, rule.left) for rule in rules]), strict=True):
        taken[rule.endpoint] += part  # type: ignore[assignment]
    assert taken == {endpoint: Fraction(slots.count(endpoint), len(slots)) for endpoint in set(slots)}
    assert [rule.endpoint for rule in rules for _ in range(rule.taken)] == slots
    assert [rule.is_last for rule in rules] == [False] * (len(rules) - 1) + [True]


def test_in_turn_each_slot_has_a_rule_of_its_own() -> None:
    assert [share.taken for share in shares(Strategy.ROUND_ROBIN, [A, A, B])] == [1, 1, 1]
    assert [share.taken for share in shares(Strategy.RANDOM, [A, A, B])] == [2, 1]


@pytest.mark.parametrize(
    ("taken", "left", "words"),
    [(1, 2, "0.50000000000"), (1, 3, "0.33333333349"), (1, 5, "0.20000000019"), (1, 16381, "0.00006104633")],
)
def test_probabilities_are_written_as_the_kernel_holds_them(taken: int, left: int, words: str) -> None:
    share = Share(A, taken, left)
    assert share.probability == words
    assert abs(float(words) - taken / left) < 1e-9

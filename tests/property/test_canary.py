"""A canary's share is what was asked for, as exactly as slots allow."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from netshare.core.canary import MOST_SLOTS, weights

weight = st.integers(1, 256)
percent = st.integers(1, 99)


def share(found: dict[str, int], canaries: dict[str, int]) -> Fraction:
    return Fraction(sum(found[name] for name in canaries), sum(found.values()))


@given(st.lists(weight, min_size=1, max_size=10), st.lists(weight, min_size=1, max_size=10), percent)
def test_the_share_is_near_and_all_others_relate_as_before(old: list[int], new: list[int], wanted: int) -> None:
    olds = {f"old-{number}": each for number, each in enumerate(old)}
    canaries = {f"new-{number}": each for number, each in enumerate(new)}
    found = weights(olds, canaries, wanted)
    for group in (olds, canaries):
        first = next(iter(group))
        assert all(found[name] * group[first] == found[first] * each for name, each in group.items())
    assert all(each > 0 for each in found.values())
    # A share is made of whole multiples of the weights, and there are only so many slots.
    multiples = max(1, MOST_SLOTS * (100 - wanted) // (100 * sum(old)))
    assert abs(share(found, canaries) - Fraction(wanted, 100)) <= Fraction(sum(new), sum(old) * multiples)


@given(st.integers(1, 10), st.integers(1, 4), percent)
def test_the_share_is_exact_with_equal_weights(olds: int, canaries: int, wanted: int) -> None:
    old = {f"old-{number}": 1 for number in range(olds)}
    new = {f"new-{number}": 1 for number in range(canaries)}
    found = weights(old, new, wanted)
    assert share(found, new) == Fraction(wanted, 100)
    assert sum(found.values()) <= 100 * olds * canaries


def test_ten_per_cent_beside_three_is_one_slot_in_ten() -> None:
    assert weights({"a": 1, "b": 1, "c": 1}, {"d": 1}, 10) == {"a": 3, "b": 3, "c": 3, "d": 1}


def test_where_nobody_has_a_weight_nothing_is_changed() -> None:
    assert weights({"a": 0}, {"b": 1}, 10) == {"a": 0, "b": 1}
    assert weights({"a": 1}, {"b": 0}, 10) == {"a": 1, "b": 0}
    assert weights({}, {"b": 1}, 10) == {"b": 1}

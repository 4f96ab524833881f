"""Rates, whatever was counted: never negative, and over a whole time what came in it."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netshare.core.model import Endpoint, Protocol
from netshare.core.rates import Counts, rates
from netshare.core.ruleset import Target

TARGET = Target(Protocol.TCP, Endpoint(ip_address("10.0.0.1"), 80))
COUNTS = st.integers(0, 1 << 64)
PAUSES = st.floats(0.001, 3600)


@given(COUNTS, COUNTS, PAUSES)
def test_no_rate_is_negative_and_none_is_more_than_was_counted(before: int, now: int, pause: float) -> None:
    found = rates(Counts(0.0, {TARGET: before}), Counts(pause, {TARGET: now}))[TARGET]
    assert 0 <= found * pause <= now * 1.001


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats(0.1, 10)), min_size=1))
def test_rates_times_their_times_are_all_that_came(steps: list[tuple[int, float]]) -> None:
    before, came = Counts(0.0, {TARGET: 0}), 0.0
    for more, pause in steps:
        now = Counts(before.at + pause, {TARGET: before.totals[TARGET] + more})
        came += rates(before, now)[TARGET] * (now.at - before.at)
        before = now
    assert came == pytest.approx(sum(more for more, _ in steps))

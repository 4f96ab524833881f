from ipaddress import ip_address

import pytest

from netshare.core.model import Endpoint, Protocol
from netshare.core.rates import Counts, rates
from netshare.core.ruleset import Target


def target(number: int) -> Target:
    return Target(Protocol.TCP, Endpoint(ip_address(f"10.0.0.{number}"), 80))


A, B = target(1), target(2)


def test_what_came_between_two_looks_a_second() -> None:
    before, now = Counts(10.0, {A: 100, B: 7}), Counts(12.5, {A: 150, B: 7})
    assert rates(before, now) == {A: 20.0, B: 0.0}


def test_a_count_that_began_anew_began_at_zero() -> None:
    assert rates(Counts(0.0, {A: 1_000_000}), Counts(2.0, {A: 30})) == {A: 15.0}


def test_who_came_in_between_began_at_zero_and_who_went_is_not_told_of() -> None:
    assert rates(Counts(0.0, {A: 5}), Counts(1.0, {B: 8})) == {B: 8.0}


@pytest.mark.parametrize("later", [0.0, -1.0])
def test_no_time_between_tells_nothing(later: float) -> None:
    assert rates(Counts(1.0, {A: 1}), Counts(1.0 + later, {A: 5})) == {}

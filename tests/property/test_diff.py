"""A diff leads from any ruleset to any other, in one step."""

from hypothesis import given

from netshare.core.diff import diff
from netshare.core.model import Container, Service
from netshare.core.ruleset import Ruleset
from netshare.reconcile import reconcile
from tests.fakes.driver import FakeDriver
from tests.fakes.host import fake_host
from tests.property.strategies import containers, rulesets, services


@given(rulesets(), rulesets())
def test_applied_to_one_it_gives_the_other(before: Ruleset, after: Ruleset) -> None:
    driver = FakeDriver()
    driver.apply(diff(Ruleset(), before, rebuild=True))
    driver.apply(diff(before, after))
    assert driver.observe().ruleset == after


@given(rulesets(), rulesets())
def test_it_is_empty_between_equals_and_never_else(before: Ruleset, after: Ruleset) -> None:
    assert diff(before, Ruleset(dict(before.dispatches), before.targets, before.hairpins)).is_empty
    assert diff(before, after).is_empty == (before == after)
    assert not diff(before, before, rebuild=True).is_empty


@given(rulesets(), rulesets())
def test_it_says_no_more_than_differs(before: Ruleset, after: Ruleset) -> None:
    change = diff(before, after)
    assert not set(change.removed) & set(after.dispatches)
    assert not set(change.added) & set(before.dispatches)
    assert all(old != new for old, new in change.altered.values())
    assert not change.targets_removed & change.targets_added
    assert not change.hairpins_removed & change.hairpins_added
    back = diff(after, before)
    assert (back.removed, back.added) == (change.added, change.removed)
    assert back.altered == {match: (new, old) for match, (old, new) in change.altered.items()}


@given(services(), containers(), containers())
def test_reconciling_twice_changes_nothing_the_second_time(
    defined: list[Service], first: list[Container], later: list[Container]
) -> None:
    fakes = fake_host(*first)
    for service in defined:
        fakes.store.save(service)
    for running in (first, later):
        fakes.engine.running = list(running)
        reconcile(fakes.host)
        committed = len(fakes.driver.committed)
        again = reconcile(fakes.host)
        assert again.change.is_empty
        assert len(fakes.driver.committed) == committed

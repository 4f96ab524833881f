"""Several drivers as one: who programs what, and how a service moves from one to the other."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from types import MappingProxyType

import pytest

from netshare.core.diff import Change, diff
from netshare.core.model import AUTO, IPTABLES, NFTABLES, Endpoint, Family, Protocol, Service, Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.errors import NetfilterError
from netshare.netfilter.driver import Observation, Offer
from netshare.netfilter.drivers import HostDrivers
from tests.fakes.driver import FakeDriver

WEB, DNS = Match(Family.IP, Protocol.TCP, 80), Match(Family.IP, Protocol.UDP, 53)
A, B = (Endpoint(ip_address(f"172.17.0.{number}"), 8080) for number in (2, 3))
TO_A, TO_B = Target(Protocol.TCP, A), Target(Protocol.UDP, B)
SUBNET = ip_network("172.17.0.0/16")
MISSING = NetfilterError("this kernel has no nf_tables")


class Site:
    """A host with two drivers; what it does to them is noted in order."""

    def __init__(self, default: str = AUTO, missing: Mapping[str, NetfilterError] = MappingProxyType({})) -> None:
        self.steps: list[tuple[str, Ruleset | None]] = []
        self.fakes = {name: _Noting(name, self.steps) for name in (NFTABLES, IPTABLES)}
        self.looks = 0
        self._missing = missing
        self.both = HostDrivers(self.fakes, default, self.look)

    def look(self) -> Mapping[str, Offer]:
        self.looks += 1
        return {name: Offer(frozenset(Strategy), missing=self._missing.get(name)) for name in self.fakes}

    def reach(self, wanted: Ruleset) -> None:
        """Do what a reconcile does."""
        seen = self.both.observe()
        rebuild = not seen.intact and (bool(wanted.dispatches) or seen.ruleset != Ruleset())
        self.both.apply(diff(seen.ruleset, wanted, rebuild=rebuild))
        assert self.both.observe().ruleset == wanted
        assert diff(self.both.observe().ruleset, wanted).is_empty

    def held(self, name: str) -> Observation:
        return self.fakes[name].observe()


class _Noting(FakeDriver):
    def __init__(self, name: str, steps: list[tuple[str, Ruleset | None]]) -> None:
        super().__init__()
        self._name, self._steps = name, steps

    def apply(self, change: Change) -> None:
        super().apply(change)
        if not change.is_empty:
            self._steps.append((self._name, change.after))

    def remove_all(self) -> None:
        super().remove_all()
        self._steps.append((self._name, None))


def world(web: str = NFTABLES, dns: str = NFTABLES) -> Ruleset:
    return Ruleset(
        {
            WEB: Dispatch("web", Strategy.RANDOM, (A,), web),
            DNS: Dispatch("dns", Strategy.RANDOM, (B,), dns),
        },
        frozenset({TO_A, TO_B}),
        frozenset({SUBNET}),
    )


def test_auto_is_the_first_that_is_there() -> None:
    assert Site().both.name == NFTABLES
    assert Site(missing={NFTABLES: MISSING}).both.name == IPTABLES
    assert Site(missing=dict.fromkeys((NFTABLES, IPTABLES), MISSING)).both.name == NFTABLES
    assert Site(IPTABLES).both.name == IPTABLES


def test_the_host_is_looked_at_once_and_not_before_it_is_needed() -> None:
    site = Site()
    assert site.looks == 0
    site.reach(world())
    assert site.looks == 1


def test_nothing_is_in_neither() -> None:
    site = Site()
    assert site.both.observe() == Observation()
    site.reach(Ruleset())
    assert site.steps == []


def test_each_holds_its_own() -> None:
    site = Site()
    site.reach(world(dns=IPTABLES))
    assert site.held(NFTABLES).ruleset.dispatches.keys() == {WEB}
    assert site.held(IPTABLES).ruleset.dispatches.keys() == {DNS}
    assert site.held(IPTABLES).ruleset.targets == {TO_B}
    assert [site.held(name).ruleset.hairpins for name in site.fakes] == [{SUBNET}] * 2
    site.fakes[IPTABLES].connect(DNS, 3)
    seen = site.both.observe()
    assert (seen.intact, seen.connections) == (True, {TO_A: 0, TO_B: 3})


def test_one_that_nothing_is_placed_on_is_not_touched() -> None:
    site = Site()
    site.reach(world())
    assert {name for name, _ in site.steps} == {NFTABLES}
    site = Site()
    site.reach(world(IPTABLES, IPTABLES))
    assert {name for name, _ in site.steps} == {IPTABLES}


@pytest.mark.parametrize(("old", "new"), [(NFTABLES, IPTABLES), (IPTABLES, NFTABLES)])
def test_what_moves_comes_before_it_leaves(old: str, new: str) -> None:
    site = Site(new)
    site.reach(world(old, old))
    site.steps.clear()
    site.reach(world(new, new))
    assert site.steps[-1] == (old, None), "nothing is left behind"
    assert site.steps[0][0] == new
    assert site.held(old) == Observation()


def test_two_that_change_places_are_never_nowhere() -> None:
    site = Site()
    site.reach(world(dns=IPTABLES))
    site.steps.clear()
    site.reach(world(web=IPTABLES))
    added = [(name, ruleset.dispatches.keys()) for name, ruleset in site.steps[:2] if ruleset is not None]
    assert added == [(NFTABLES, world().dispatches.keys()), (IPTABLES, world().dispatches.keys())]
    assert site.held(NFTABLES).ruleset.dispatches.keys() == {DNS}
    assert site.held(IPTABLES).ruleset.dispatches.keys() == {WEB}


def test_where_nobody_chose_a_service_stays_where_it_is() -> None:
    web, dns = Service("web", ()), Service("dns", (), driver=NFTABLES)
    site = Site()
    assert site.both.place(web) == NFTABLES
    site.reach(world(IPTABLES, IPTABLES))
    assert [site.both.place(each) for each in (web, dns)] == [IPTABLES, NFTABLES]
    chosen = HostDrivers(site.fakes, NFTABLES, site.look)
    chosen.observe()
    assert chosen.place(web) == NFTABLES
    able = Offer(frozenset(Strategy)), Offer(frozenset({Strategy.RANDOM}))
    limited = HostDrivers(site.fakes, AUTO, lambda: dict(zip(site.fakes, able, strict=True)))
    limited.observe()
    assert limited.place(web) == IPTABLES
    assert limited.place(replace(web, strategy=Strategy.SOURCE_HASH)) == NFTABLES


def test_what_an_interrupted_move_left_in_both_is_cleared_up() -> None:
    site = Site()
    site.reach(world())
    site.fakes[IPTABLES].apply(diff(Ruleset(), replace(world(), hairpins=frozenset()), rebuild=True))
    assert not site.both.observe().intact
    site.reach(world())
    assert site.held(IPTABLES) == Observation()
    assert site.both.observe().intact


def test_a_fixed_part_that_serves_nobody_is_left_to_the_default_driver_alone() -> None:
    site = Site(IPTABLES)
    site.fakes[NFTABLES].apply(diff(Ruleset(), Ruleset(), rebuild=True))
    site.reach(world(IPTABLES, IPTABLES))
    assert site.held(NFTABLES) == Observation()
    site.reach(Ruleset())
    assert site.held(IPTABLES).intact
    assert site.both.observe().intact


def test_damage_is_mended_where_it_is() -> None:
    site = Site()
    site.reach(world(dns=IPTABLES))
    site.steps.clear()
    site.fakes[IPTABLES].tamper()
    assert not site.both.observe().intact
    site.reach(world(dns=IPTABLES))
    assert {name for name, _ in site.steps} == {IPTABLES}
    assert site.both.observe().intact


def test_a_draining_target_stays_where_it_is_counted() -> None:
    site = Site()
    site.reach(world(dns=IPTABLES))
    site.fakes[IPTABLES].connect(DNS, 3)
    drained = world(dns=IPTABLES)
    drained = replace(drained, dispatches={**drained.dispatches, DNS: Dispatch("dns", driver=IPTABLES)})
    site.reach(drained)
    assert site.both.observe().connections[TO_B] == 3
    assert site.held(NFTABLES).ruleset.targets == {TO_A}


def test_a_driver_that_is_missing_is_never_asked() -> None:
    site = Site(missing={NFTABLES: MISSING})
    site.fakes[NFTABLES].blindness = MISSING
    site.reach(world(IPTABLES, IPTABLES))
    site.both.remove_all()
    assert site.both.observe() == Observation()


def test_everything_is_removed_from_both_and_written_down_for_both() -> None:
    site = Site()
    site.reach(world(dns=IPTABLES))
    assert site.both.render(site.both.observe().ruleset).count("->") == 2
    assert site.both.render(Ruleset()) == ""
    site.both.remove_all()
    assert [site.held(name) for name in site.fakes] == [Observation(), Observation()]


def test_what_concerns_one_driver_alone_is_handed_down_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing ten thousand services once more would take longer than all the rest of a change."""
    site, given = Site(), list[Change]()
    site.reach(world())
    monkeypatch.setattr(site.fakes[NFTABLES], "apply", given.append)
    seen = site.both.observe().ruleset
    change = diff(seen, replace(seen, targets=frozenset({TO_A})))
    site.both.apply(change)
    assert [each for each in given if not each.is_empty] == [change]
    assert given[0] is change

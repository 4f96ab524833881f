"""What every driver does, the fake one included: other tests may trust the fake because of this."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import HealthCheck, given, settings

from netshare.core import parse
from netshare.core.diff import diff
from netshare.core.model import Endpoint, Family, IPAddress, Protocol, Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.errors import NetfilterError
from netshare.netfilter.driver import Observation
from tests.contract.bench import Bench
from tests.property.strategies import rulesets

WEB = Match(Family.IP, Protocol.TCP, 80)
DNS = Match(Family.IP, Protocol.UDP, 53)
LOCAL: dict[Family, IPAddress] = {Family.IP: ip_address("10.0.0.1"), Family.IP6: ip_address("fd00::1")}
KINDS = [
    Match(family, protocol, 80, LOCAL[family] if bound else None)
    for family in Family
    for protocol in Protocol
    for bound in (False, True)
]


def endpoints(count: int, *, family: Family = Family.IP, first: int = 2) -> tuple[Endpoint, ...]:
    base = int(ip_address("172.17.0.0" if family is Family.IP else "fd00:17::"))
    kind = type(LOCAL[family])
    return tuple(Endpoint(kind(base + number), 8080) for number in range(first, first + count))


def to(*slots: Endpoint, service: str = "web") -> Dispatch:
    return Dispatch(service, Strategy.RANDOM if slots else None, slots)


def ruleset(dispatches: dict[Match, Dispatch], *more: Target) -> Ruleset:
    counted = {Target(match.protocol, endpoint) for match, each in dispatches.items() for endpoint in each.slots}
    return Ruleset(dispatches, frozenset(counted) | frozenset(more))


def three(match: Match) -> Ruleset:
    return ruleset({match: to(*endpoints(3, family=match.family))})


def test_it_has_a_name_that_the_command_line_knows(bench: Bench) -> None:
    assert bench.driver.name in parse.DRIVERS


def test_nothing_is_observed_where_nothing_is(bench: Bench) -> None:
    assert bench.driver.observe() == Observation(Ruleset(), intact=False, connections={})


@pytest.mark.parametrize("match", KINDS, ids=str)
def test_what_was_applied_is_observed(bench: Bench, match: Match) -> None:
    bench.driver.apply(diff(Ruleset(), three(match), rebuild=True))
    bench.check(three(match))
    assert set(bench.driver.observe().connections.values()) == {0}


def test_the_counts_alone_are_those_that_are_observed(bench: Bench) -> None:
    assert bench.driver.connections() == {}
    bench.start(Ruleset({}, frozenset(three(WEB).targets | three(KINDS[-1]).targets)))
    assert bench.driver.connections() == bench.driver.observe().connections
    assert len(bench.driver.connections()) == 6


@pytest.mark.parametrize("match", KINDS, ids=str)
def test_a_refusal_is_observed(bench: Bench, match: Match) -> None:
    bench.start(ruleset({match: to()}))
    bench.check(ruleset({match: to()}))


def test_no_service_at_all_is_a_ruleset_too(bench: Bench) -> None:
    bench.start(Ruleset())
    bench.check(Ruleset())


def test_applying_the_same_again_commits_nothing(bench: Bench) -> None:
    bench.start(three(WEB))
    commits = bench.commits()
    change = diff(bench.driver.observe().ruleset, three(WEB))
    assert change.is_empty
    bench.driver.apply(change)
    assert bench.commits() == commits


def test_an_empty_change_does_not_touch_a_kernel_without_a_table(bench: Bench) -> None:
    commits = bench.commits()
    bench.driver.apply(diff(Ruleset(), Ruleset()))
    assert bench.commits() == commits
    assert bench.driver.observe() == Observation()


@pytest.mark.parametrize("match", KINDS, ids=str)
def test_slots_grow_shrink_and_are_replaced(bench: Bench, match: Match) -> None:
    a, b, c, d = endpoints(4, family=match.family)
    bench.start(ruleset({match: to(a, b)}))
    for slots in ((a, b, c), (a, b, c, d), (b, d), (c, a), (a, c), (a,), (d,), (), (a, b, c), (a, a, b)):
        bench.change(ruleset({match: to(*slots)}))


@pytest.mark.parametrize("match", KINDS, ids=str)
def test_services_come_and_go_beside_another_of_the_same_size(bench: Bench, match: Match) -> None:
    other = Match(match.family, match.protocol, 81, match.address)
    slots = endpoints(3, family=match.family)
    bench.start(three(match))
    bench.change(ruleset({match: to(*slots), other: to(*slots, service="other")}))
    bench.change(ruleset({other: to(*slots, service="other")}))
    bench.change(Ruleset())


def test_a_service_is_renamed(bench: Bench) -> None:
    slots = endpoints(3)
    bench.start(ruleset({WEB: to(*slots), DNS: to(service="dns")}))
    bench.change(ruleset({WEB: to(*slots, service="shop/web"), DNS: to(service="x" * 63 + "/" + "y" * 63)}))


def test_a_listener_moves_to_an_address_and_back(bench: Bench) -> None:
    bound = Match(Family.IP, Protocol.TCP, 80, LOCAL[Family.IP])
    slots = endpoints(2)
    bench.start(ruleset({WEB: to(*slots)}))
    bench.change(ruleset({bound: to(*slots)}))
    bench.change(ruleset({bound: to(*slots), WEB: to(slots[0])}))
    bench.change(ruleset({WEB: to(*slots)}))


def test_one_endpoint_serves_every_kind_of_listener_at_once(bench: Bench) -> None:
    everything = {match: to(*endpoints(2, family=match.family), service=str(n)) for n, match in enumerate(KINDS)}
    bench.start(ruleset(everything))
    bench.change(ruleset({match: everything[match] for match in KINDS[::2]}))
    bench.change(ruleset(everything))


def test_targets_outlive_their_slots(bench: Bench) -> None:
    a, b = endpoints(2)
    leaving = Target(Protocol.TCP, b)
    bench.start(ruleset({WEB: to(a, b)}))
    bench.change(ruleset({WEB: to(a)}, leaving))
    bench.change(ruleset({WEB: to(a)}))
    bench.change(ruleset({WEB: to(a)}, leaving, Target(Protocol.UDP, b), Target(Protocol.SCTP, b)))
    bench.change(ruleset({}, leaving))


def test_subnets_come_and_go(bench: Bench) -> None:
    docker, podman, bridge6 = (ip_network(net) for net in ("172.17.0.0/16", "10.88.0.0/16", "fd00:17::/64"))
    dispatches = {WEB: to(*endpoints(2))}
    counted = ruleset(dispatches).targets
    bench.start(Ruleset(dispatches, counted, frozenset({docker})))
    for hairpins in ({docker, podman, bridge6}, {bridge6}, set(), {docker, bridge6}, {podman}):
        bench.change(Ruleset(dispatches, counted, frozenset(hairpins)))


def test_more_slots_than_one_message_holds(bench: Bench) -> None:
    many = endpoints(5_000)
    bench.start(ruleset({WEB: to(*many), DNS: to(*many[:2])}))
    bench.change(ruleset({WEB: to(*many[1:]), DNS: to(*many[:2])}))
    bench.change(ruleset({WEB: to(), DNS: to(*many)}))


def test_a_rebuild_replaces_whatever_is_there(bench: Bench) -> None:
    bench.start(ruleset({WEB: to(*endpoints(3)), DNS: to(service="dns")}))
    after = ruleset({WEB: to(*endpoints(2, first=9))})
    bench.driver.apply(diff(bench.driver.observe().ruleset, after, rebuild=True))
    bench.check(after)
    commits = bench.commits()
    bench.driver.apply(diff(after, after, rebuild=True))
    assert bench.commits() == commits + 1
    bench.check(after)


def test_remove_all_leaves_nothing_and_may_be_called_twice(bench: Bench) -> None:
    bench.start(three(WEB))
    for _ in range(2):
        bench.driver.remove_all()
        assert bench.driver.observe() == Observation()
    bench.start(three(DNS))
    bench.check(three(DNS))


A, B = endpoints(2)
SUBNETS = frozenset({ip_network("192.0.2.0/24")})
HELD = ruleset({WEB: to(A), DNS: to(B, service="dns")})
STALE = {
    "a removed service is gone already": (ruleset({**HELD.dispatches, KINDS[-1]: to()}), HELD),
    "a removed endpoint is gone already": (ruleset({WEB: to(A, B), DNS: HELD.dispatches[DNS]}), HELD),
    "a removed target is gone already": (ruleset(dict(HELD.dispatches), Target(Protocol.SCTP, A)), HELD),
    "an added service is there already": (ruleset({WEB: to(A)}, *HELD.targets), HELD),
    "an added target is there already": (
        Ruleset(HELD.dispatches, HELD.targets - {Target(Protocol.UDP, B)}),
        HELD,
    ),
    "a removed subnet is gone already": (Ruleset(HELD.dispatches, HELD.targets, SUBNETS), HELD),
    "all of it": (Ruleset(), HELD),
}


@pytest.mark.parametrize("stale", STALE)
def test_a_change_from_something_else_is_refused_and_changes_nothing(bench: Bench, stale: str) -> None:
    bench.start(HELD)
    commits = bench.commits()
    # Before the part that can't be done there is one that can: nothing of it may stay.
    fine = Match(Family.IP6, Protocol.TCP, 443)
    before, after = STALE[stale]
    after = Ruleset({**after.dispatches, fine: to(service="fine")}, after.targets)
    with pytest.raises(NetfilterError):
        bench.driver.apply(diff(before, after))
    assert bench.commits() == commits
    bench.check(HELD)
    bench.change(ruleset({WEB: to(B)}))


def test_a_change_of_nothing_at_all_is_refused(bench: Bench) -> None:
    with pytest.raises(NetfilterError):
        bench.driver.apply(diff(Ruleset(), HELD))
    assert bench.driver.observe() == Observation()
    bench.start(HELD)
    bench.check(HELD)


def test_a_ruleset_is_rendered_as_text_without_touching_the_kernel(bench: Bench) -> None:
    commits = bench.commits()
    text = bench.driver.render(HELD)
    assert {"web", "dns"} <= set(text.replace('"', " ").replace(":", " ").split())
    assert str(A.address) in text
    assert bench.commits() == commits


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rulesets(), rulesets())
def test_any_ruleset_is_reached_from_any_other(bench: Bench, before: Ruleset, after: Ruleset) -> None:
    before, after = possible(before, bench), possible(after, bench)
    bench.start(before)
    bench.check(before)
    bench.change(after)
    bench.change(after)
    bench.change(before)


def possible(drawn: Ruleset, bench: Bench) -> Ruleset:
    """Replace a strategy that the driver does not have."""
    strategies = bench.driver.offers[bench.driver.name].strategies
    dispatches = {
        match: each if each.strategy in (None, *strategies) else replace(each, strategy=Strategy.RANDOM)
        for match, each in drawn.dispatches.items()
    }
    return replace(drawn, dispatches=dispatches)


@pytest.mark.parametrize("strategy", Strategy)
def test_a_strategy_that_it_does_not_have_is_refused_and_changes_nothing(bench: Bench, strategy: Strategy) -> None:
    bench.start(HELD)
    after = replace(HELD, dispatches={**HELD.dispatches, WEB: Dispatch("web", strategy, (A,))})
    if strategy in bench.driver.offers[bench.driver.name].strategies:
        bench.change(after)
        return
    with pytest.raises(NetfilterError, match=strategy):
        bench.driver.apply(diff(HELD, after))
    bench.check(HELD)

"""Health, for any check, any outcomes, any replicas."""

from collections.abc import Sequence
from ipaddress import IPv4Address, ip_address
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from netshare.core import checks
from netshare.core.health import Standing, Verdict, Verdicts, after, delay
from netshare.core.judging import judge, probes_of
from netshare.core.model import (
    CheckKind,
    Endpoint,
    FailMode,
    HealthCheck,
    Listener,
    Replica,
    ReplicaState,
    Service,
)
from netshare.core.plan import ServiceReplicas, plan
from netshare.errors import UsageError
from tests.property.strategies import probed_checks

WEB = Listener(80, to=8080)
OUTCOMES = st.lists(st.booleans(), max_size=60)
FEW = st.builds(HealthCheck, st.just(CheckKind.TCP), rise=st.integers(1, 4), fall=st.integers(1, 4))


def ran(check: HealthCheck, outcomes: Sequence[bool], verdict: Verdict | None = None) -> list[Verdict]:
    found = [verdict or Verdict()]
    for now, is_well in enumerate(outcomes, start=1):
        found.append(after(found[-1], None if is_well else "HTTP 500", check, float(now)))
    return found


@given(probed_checks())
def test_a_check_in_words_is_read_as_the_same_check(check: HealthCheck) -> None:
    assert checks.health_check(checks.words(check)) == check


@given(st.text(max_size=80) | st.from_regex(r"\A(tcp|http)(:[0-9]{0,6})?/?.{0,10}( [a-z]+=.{0,8}){0,3}\Z"))
def test_any_words_are_a_check_or_refused(words: str) -> None:
    try:
        check = checks.health_check(words)
    except UsageError:
        return
    assert checks.health_check(checks.words(check)) == check
    assert (check.path + (check.host or "")).isascii()
    assert not set(check.path + (check.host or "")) & set("\r\n\0 ")
    assert 0 < check.timeout <= check.interval <= 3600


@given(FEW, OUTCOMES)
def test_only_as_many_failures_in_a_row_as_asked_for_fell(check: HealthCheck, outcomes: list[bool]) -> None:
    for number, (before, verdict) in enumerate(pairwise(ran(check, outcomes))):
        last = outcomes[max(0, number + 1 - check.fall) : number + 1]
        fell = verdict.standing is Standing.UNHEALTHY and before.standing is not Standing.UNHEALTHY
        due = before.standing is not Standing.UNHEALTHY and len(last) == check.fall and not any(last)
        assert fell == due


@given(FEW, OUTCOMES)
def test_after_a_fall_only_as_many_successes_in_a_row_as_asked_for_raise(
    check: HealthCheck, outcomes: list[bool]
) -> None:
    felled = Verdict(Standing.UNHEALTHY, was_healthy=True)
    verdicts = ran(check, outcomes, felled)
    for number, (before, verdict) in enumerate(pairwise(verdicts)):
        last = outcomes[max(0, number + 1 - check.rise) : number + 1]
        rose = verdict.standing is Standing.HEALTHY and before.standing is not Standing.HEALTHY
        due = before.standing is Standing.UNHEALTHY and len(last) == check.rise and all(last)
        assert rose == due


@given(FEW, OUTCOMES)
def test_once_it_has_been_judged_it_stays_judged(check: HealthCheck, outcomes: list[bool]) -> None:
    judged = False
    for verdict in ran(check, outcomes):
        judged = judged or verdict.standing is not Standing.UNKNOWN
        assert judged == (verdict.standing is not Standing.UNKNOWN)
        assert verdict.passed < check.rise
        assert verdict.failed < check.fall
        assert verdict.was_healthy or verdict.standing is not Standing.HEALTHY


@given(probed_checks(), st.lists(st.booleans(), max_size=20), st.floats(0, 1))
def test_the_next_probe_is_never_later_than_asked_for(check: HealthCheck, outcomes: list[bool], draw: float) -> None:
    for verdict in ran(check, outcomes):
        assert 0 < delay(verdict, check, draw) <= check.interval


STATES = st.sampled_from(ReplicaState)


@st.composite
def services(draw: st.DrawFn) -> tuple[Service, list[Replica], Verdicts, set[Endpoint]]:
    """A service, its replicas before their health was looked at, what is known of it, and who is served."""
    service = Service("web", (WEB,), health=checks.health_check("tcp"), fail=draw(st.sampled_from(FailMode)))
    replicas, known, serving = [], {}, set()
    for number, state in enumerate(draw(st.lists(STATES, max_size=5))):
        endpoint = Endpoint(ip_address(int(IPv4Address("10.0.0.1")) + number), 8080)
        replica = Replica(f"web-{number}", f"{number}", "docker", state, {WEB: (endpoint,)}, draw(st.integers(0, 2)))
        replicas.append(replica)
        standing = draw(st.none() | st.sampled_from(Standing))
        if standing is not None:
            known.update(dict.fromkeys(probes_of(service, replica), Verdict(standing, reason="HTTP 500")))
        if draw(st.booleans()):
            serving.add(endpoint)
    return service, replicas, Verdicts(known, is_probed=draw(st.booleans())), serving


@given(services())
def test_the_unhealthy_are_given_connections_only_where_nobody_is_well(
    given_: tuple[Service, list[Replica], Verdicts, set[Endpoint]],
) -> None:
    service, replicas, verdicts, serving = given_
    judged = judge(service, replicas, verdicts, serving)
    ready = [r for r in judged if r.state is ReplicaState.READY and r.weight]
    offered = [r for r in judged if r.offers(WEB) and r.weight]
    slots = {e for d in plan([ServiceReplicas(service, judged)]).dispatches.values() for e in d.slots}
    assert slots == {endpoint for replica in offered for endpoint in replica.offers(WEB)}
    if ready:
        assert offered == ready
    elif service.fail is FailMode.CLOSED:
        assert offered == []
    else:
        assert all(replica.state is ReplicaState.UNHEALTHY for replica in offered)
        ill = [
            replica
            for replica, before in zip(judged, replicas, strict=True)
            if replica.weight and before.state is ReplicaState.READY and replica.state is ReplicaState.UNHEALTHY
        ]
        assert offered == ill


@given(services())
def test_health_only_ever_takes_away(
    given_: tuple[Service, list[Replica], Verdicts, set[Endpoint]],
) -> None:
    service, replicas, verdicts, serving = given_
    judged = judge(service, replicas, verdicts, serving)
    for before, replica in zip(replicas, judged, strict=True):
        assert set(replica.offers(WEB)) <= set(before.endpoints[WEB])
        if before.state is not ReplicaState.READY:
            assert replica == before


@given(services(), st.randoms())
def test_the_order_of_replicas_does_not_matter(
    given_: tuple[Service, list[Replica], Verdicts, set[Endpoint]],
    random: Random,
) -> None:
    service, replicas, verdicts, serving = given_
    shuffled = list(replicas)
    random.shuffle(shuffled)
    one, other = judge(service, replicas, verdicts, serving), judge(service, shuffled, verdicts, serving)
    assert sorted(one, key=lambda r: r.id) == sorted(other, key=lambda r: r.id)

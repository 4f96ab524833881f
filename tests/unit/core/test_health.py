"""What outcomes of probes make of an endpoint."""

from ipaddress import ip_address

import pytest

from netshare.core.health import GRACE, JITTER, Probe, Standing, Verdict, after, delay, is_fresh, is_settled
from netshare.core.model import CheckKind, Endpoint, HealthCheck

CHECK = HealthCheck(CheckKind.TCP, rise=2, fall=3)
NOTHING, WELL, ILL = Verdict(), Verdict(Standing.HEALTHY, was_healthy=True), "HTTP 500"
FELLED = Verdict(Standing.UNHEALTHY, was_healthy=True)
UNKNOWN, HEALTHY, UNHEALTHY = Standing


def standings(verdict: Verdict, outcomes: str, check: HealthCheck = CHECK) -> list[Standing]:
    """Give the standing after each outcome: ``+`` is a success, ``-`` a failure."""
    found = []
    for now, outcome in enumerate(outcomes, start=1):
        verdict = after(verdict, None if outcome == "+" else ILL, check, now)
        found.append(verdict.standing)
    return found


@pytest.mark.parametrize(
    ("verdict", "outcomes", "expected"),
    [
        (NOTHING, "+", [HEALTHY]),
        (NOTHING, "---", [UNKNOWN, UNKNOWN, UNHEALTHY]),
        (NOTHING, "--+", [UNKNOWN, UNKNOWN, HEALTHY]),
        (NOTHING, "---+", [UNKNOWN, UNKNOWN, UNHEALTHY, HEALTHY]),  # never was well: no need to show that it stays up
        (WELL, "--+--+", [HEALTHY] * 6),
        (WELL, "---", [HEALTHY, HEALTHY, UNHEALTHY]),
        (FELLED, "+-++", [UNHEALTHY, UNHEALTHY, UNHEALTHY, HEALTHY]),
        (FELLED, "++", [UNHEALTHY, HEALTHY]),
        (FELLED, "++---+", [UNHEALTHY, HEALTHY, HEALTHY, HEALTHY, UNHEALTHY, UNHEALTHY]),
    ],
)
def test_only_outcomes_in_a_row_count(verdict: Verdict, outcomes: str, expected: list[Standing]) -> None:
    assert standings(verdict, outcomes) == expected


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ("+", [HEALTHY]),
        ("--+-", [UNKNOWN, UNKNOWN, HEALTHY, HEALTHY]),
        ("-" * 12, [UNKNOWN] * 10 + [HEALTHY] * 2),  # a second each: after ten it has to do without
    ],
)
def test_one_without_a_check_has_to_take_one_connection(outcomes: str, expected: list[Standing]) -> None:
    assert standings(NOTHING, outcomes, HealthCheck()) == expected


def test_one_without_a_check_is_asked_soon_at_first_and_never_again_in_the_end() -> None:
    check, verdict, pauses = HealthCheck(), NOTHING, []
    now = 100.0
    while not is_settled(verdict := after(verdict, ILL, check, now), check):
        pauses.append(delay(verdict, check, 0.0))
        now += pauses[-1]
    assert pauses[0] < 0.05
    assert pauses == sorted(pauses)
    assert max(pauses) == 1
    assert 10 < len(pauses) < 30
    assert verdict.reason == ILL
    assert not is_settled(WELL, CHECK)


def test_with_one_each_every_outcome_decides() -> None:
    check = HealthCheck(CheckKind.TCP, rise=1, fall=1)
    assert standings(NOTHING, "-+-+", check) == [UNHEALTHY, HEALTHY, UNHEALTHY, HEALTHY]


def test_it_remembers_since_when_and_why() -> None:
    felled = after(Verdict(HEALTHY, failed=2, was_healthy=True, since=5.0), "connection refused", CHECK, 9.0)
    assert felled == Verdict(UNHEALTHY, was_healthy=True, since=9.0, reason="connection refused")
    assert after(felled, "no answer", CHECK, 10.0) == Verdict(
        UNHEALTHY, was_healthy=True, since=9.0, reason="no answer"
    )
    risen = after(after(felled, None, CHECK, 11.0), None, CHECK, 12.0)
    assert risen == Verdict(HEALTHY, was_healthy=True, since=12.0)


def test_a_verdict_that_goes_on_is_the_same_verdict() -> None:
    assert after(WELL, None, CHECK, 100.0) == WELL
    once = after(FELLED, ILL, CHECK, 100.0)
    assert after(once, ILL, CHECK, 200.0) == once


class TestDelay:
    def test_it_is_an_interval_or_a_little_less(self) -> None:
        for verdict in (WELL, NOTHING, FELLED):
            assert delay(verdict, CHECK, 0.0) == CHECK.interval
            assert delay(verdict, CHECK, 1.0) == pytest.approx(CHECK.interval * (1 - JITTER))

    @pytest.mark.parametrize(("fall", "timeout"), [(2, 1.0), (3, 1.0), (3, 0.01), (5, 2.0), (100, 1.9)])
    def test_who_hangs_is_felled_no_later_than_who_refuses(self, fall: int, timeout: float) -> None:
        check = HealthCheck(CheckKind.TCP, interval=2.0, timeout=timeout, fall=fall)
        began, ended, verdict = 0.0, 0.0, WELL
        began += delay(verdict, check, 0.0)
        while verdict.standing is HEALTHY:
            ended = began + timeout
            verdict = after(verdict, "no answer", check, ended)
            began = max(began + delay(verdict, check, 0.0), ended)
        # At worst one probe takes all of its time, and then the next.
        assert ended <= max(fall * check.interval, check.interval + fall * timeout) + 1e-9

    def test_one_that_is_suspected_is_asked_sooner_once_it_failed(self) -> None:
        check = HealthCheck(CheckKind.TCP, interval=60.0, timeout=1.0)
        assert delay(WELL, check, 0.0, suspected=True) == 60.0
        assert delay(Verdict(HEALTHY, failed=1), check, 0.0, suspected=True) == 0.5
        assert delay(FELLED, check, 0.0, suspected=True) == 60.0

    def test_after_a_failure_they_do_not_overlap(self) -> None:
        check = HealthCheck(CheckKind.TCP, interval=2.0, timeout=2.0, fall=2)
        assert delay(Verdict(HEALTHY, failed=1), check, 0.0) == 2.0


@pytest.mark.parametrize(
    ("age", "expected"),
    [(0, True), (6 + GRACE, True), (6.1 + GRACE, False), (-1, False), (float("nan"), False)],
)
def test_a_verdict_gets_old(age: float, *, expected: bool) -> None:
    assert is_fresh(age, CHECK) is expected


@pytest.mark.parametrize(
    ("service", "host", "expected"),
    [("web", None, "web"), ("shop/web", None, "web"), ("web", "shop.example", "shop.example")],
)
def test_the_host_is_the_services_name(service: str, host: str | None, expected: str) -> None:
    check = HealthCheck(CheckKind.HTTP, path="/", host=host)
    assert Probe(service, "one", Endpoint(ip_address("10.0.0.1"), 80), check).host == expected

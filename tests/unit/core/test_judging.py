"""Which replicas are well, and whom new connections may be given."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from netshare.core.checks import health_check
from netshare.core.health import Probe, Standing, Verdict, Verdicts
from netshare.core.judging import FAIL_OPEN, endpoints_served, is_failing_open, judge, probes_of
from netshare.core.model import (
    ContainerStatus,
    Endpoint,
    FailMode,
    Health,
    Listener,
    Protocol,
    Replica,
    ReplicaState,
    Service,
    StaticEndpoint,
)
from netshare.core.plan import ServiceReplicas, plan
from netshare.core.ruleset import Ruleset
from netshare.core.selection import replicas
from tests.fakes.engine import container

WEB, TLS, DNS = Listener(80, to=8080), Listener(443, to=8443), Listener(53, Protocol.UDP, to=53)
TCP = Service("web", (WEB,), health=health_check("tcp"))
WELL = Verdict(Standing.HEALTHY, was_healthy=True)
ILL = Verdict(Standing.UNHEALTHY, reason="connection refused")
FAILS = "its health check fails: connection refused"


def listed(service: Service, *addresses: str, health: Health = Health.NONE) -> list[Replica]:
    """List a replica an address, as its engine would have it."""
    return replicas(service, [container(f"web-{n}", each, health=health) for n, each in enumerate(addresses, 1)])


def known(service: Service, **verdicts: Verdict) -> Verdicts:
    """Tell of endpoints: ``a8080`` is 10.0.0.1:8080, ``b8080`` 10.0.0.2:8080, and so on."""
    found = {}
    for name, verdict in verdicts.items():
        number = ord(name[0]) - ord("a") + 1
        endpoint = Endpoint(ip_address(f"10.0.0.{number}"), int(name[1:]))
        found[Probe(service.name, f"id-of-web-{number}", endpoint, service.health)] = verdict
    return Verdicts(found, is_probed=True)


def offered(service: Service, judged: tuple[Replica, ...], listener: Listener = WEB) -> set[str]:
    """Plan, and list who is given new connections."""
    wanted = plan([ServiceReplicas(service, judged)])
    slots = (
        d.slots for m, d in wanted.dispatches.items() if (m.port, m.protocol) == (listener.port, listener.protocol)
    )
    return {str(endpoint) for each in slots for endpoint in each}


def states(judged: tuple[Replica, ...]) -> list[tuple[ReplicaState, str | None]]:
    return [(replica.state, replica.reason) for replica in judged]


class TestProbed:
    def test_those_that_are_well_are_given_connections(self) -> None:
        judged = judge(TCP, listed(TCP, "10.0.0.1", "10.0.0.2"), known(TCP, a8080=WELL, b8080=ILL))
        assert states(judged) == [(ReplicaState.READY, None), (ReplicaState.UNHEALTHY, FAILS)]
        assert offered(TCP, judged) == {"10.0.0.1:8080"}
        assert not any(map(is_failing_open, judged))

    def test_one_nothing_is_known_of_waits(self) -> None:
        judged = judge(TCP, listed(TCP, "10.0.0.1", "10.0.0.2"), known(TCP, a8080=WELL))
        assert states(judged)[1] == (ReplicaState.STARTING, "its health check has not passed yet")
        assert offered(TCP, judged) == {"10.0.0.1:8080"}

    def test_it_says_what_one_waits_for(self) -> None:
        judged = judge(TCP, listed(TCP, "10.0.0.1"), known(TCP, a8080=Verdict(failed=1, reason="HTTP 503")))
        assert states(judged) == [(ReplicaState.STARTING, "its health check has not passed yet: HTTP 503")]

    def test_one_that_is_given_connections_already_keeps_them_until_more_is_known(self) -> None:
        served = {Endpoint(ip_address("10.0.0.2"), 8080)}
        there = listed(TCP, "10.0.0.1", "10.0.0.2")
        judged = judge(TCP, there, known(TCP, b8080=Verdict(failed=2, reason="HTTP 503")), served)
        assert [state for state, _ in states(judged)] == [ReplicaState.STARTING, ReplicaState.READY]
        judged = judge(TCP, there, known(TCP, a8080=WELL, b8080=ILL), served)
        assert offered(TCP, judged) == {"10.0.0.1:8080"}

    def test_where_nobody_probes_all_but_the_known_bad_are_taken_as_well(self) -> None:
        told = replace(known(TCP, b8080=ILL), is_probed=False)
        judged = judge(TCP, listed(TCP, "10.0.0.1", "10.0.0.2"), told)
        assert states(judged) == [(ReplicaState.READY, None), (ReplicaState.UNHEALTHY, FAILS)]

    def test_what_another_check_found_says_nothing(self) -> None:
        other = replace(TCP, health=health_check("tcp fall=1"))
        judged = judge(TCP, listed(TCP, "10.0.0.1"), known(other, a8080=WELL))
        assert judged[0].state is ReplicaState.STARTING

    def test_what_another_container_at_the_same_address_was_says_nothing(self) -> None:
        new = replicas(TCP, [replace(container("web-1", "10.0.0.1"), id="another")])
        assert judge(TCP, new, known(TCP, a8080=ILL))[0].state is ReplicaState.STARTING

    @pytest.mark.parametrize(
        ("status", "leaving"),
        [(ContainerStatus.EXITED, False), (ContainerStatus.RUNNING, True), (ContainerStatus.PAUSED, False)],
    )
    def test_health_does_not_help_who_is_not_there(self, status: ContainerStatus, *, leaving: bool) -> None:
        there = replicas(TCP, [replace(container("web-1", "10.0.0.1"), status=status, leaving=leaving)])
        for verdict in (WELL, ILL, Verdict()):
            judged = judge(TCP, there, known(TCP, a8080=verdict))
            assert judged == tuple(there)
            assert offered(TCP, judged) == set()

    def test_the_engines_opinion_does_not_count(self) -> None:
        there = listed(TCP, "10.0.0.1", health=Health.UNHEALTHY)
        assert judge(TCP, there, known(TCP, a8080=WELL))[0].state is ReplicaState.READY


class TestFailOpen:
    def test_where_none_is_well_all_that_are_not_go_on(self) -> None:
        judged = judge(TCP, listed(TCP, "10.0.0.1", "10.0.0.2"), known(TCP, a8080=ILL, b8080=ILL))
        assert states(judged) == [(ReplicaState.UNHEALTHY, f"{FAILS}; {FAIL_OPEN}")] * 2
        assert offered(TCP, judged) == {"10.0.0.1:8080", "10.0.0.2:8080"}
        assert all(map(is_failing_open, judged))

    def test_closed_none_does(self) -> None:
        closed = replace(TCP, fail=FailMode.CLOSED)
        judged = judge(closed, listed(closed, "10.0.0.1"), known(closed, a8080=ILL))
        assert states(judged) == [(ReplicaState.UNHEALTHY, FAILS)]
        assert offered(closed, judged) == set()

    def test_one_that_never_answered_yet_does_not_count(self) -> None:
        judged = judge(TCP, listed(TCP, "10.0.0.1", "10.0.0.2"), known(TCP, a8080=ILL))
        assert offered(TCP, judged) == {"10.0.0.1:8080"}
        judged = judge(TCP, listed(TCP, "10.0.0.1", "10.0.0.2"), known(TCP))
        assert offered(TCP, judged) == set()

    def test_nor_does_one_that_leaves_or_stands_still(self) -> None:
        there = [
            container("web-1", "10.0.0.1"),
            replace(container("web-2", "10.0.0.2"), leaving=True),
            container("web-3", "10.0.0.3", status=ContainerStatus.PAUSED),
        ]
        judged = judge(TCP, replicas(TCP, there), known(TCP, a8080=ILL, b8080=WELL, c8080=ILL))
        assert offered(TCP, judged) == {"10.0.0.1:8080"}

    def test_one_of_no_weight_is_no_help_to_the_others(self) -> None:
        weighted = replace(TCP, weights=(("web-1", 0),))
        judged = judge(weighted, listed(weighted, "10.0.0.1", "10.0.0.2"), known(weighted, a8080=WELL, b8080=ILL))
        assert offered(weighted, judged) == {"10.0.0.2:8080"}

    def test_a_drained_one_that_is_unhealthy_too_is_not_brought_back(self) -> None:
        judged = judge(TCP, listed(TCP, "10.0.0.1"), known(TCP, a8080=ILL))
        drained = tuple(replace(replica, state=ReplicaState.DRAINING) for replica in judged)
        assert offered(TCP, drained) == set()


class TestEngine:
    def test_its_healthcheck_counts_the_same_way(self) -> None:
        service = Service("web", (WEB,))
        well, ill = container("web-1", "10.0.0.1"), container("web-2", "10.0.0.2", health=Health.UNHEALTHY)
        judged = judge(service, replicas(service, [well, ill]), Verdicts())
        assert states(judged) == [(ReplicaState.READY, None), (ReplicaState.UNHEALTHY, "its HEALTHCHECK fails")]
        assert offered(service, judged, WEB) == {"10.0.0.1:8080"}
        judged = judge(service, replicas(service, [ill]), Verdicts())
        assert states(judged) == [(ReplicaState.UNHEALTHY, f"its HEALTHCHECK fails; {FAIL_OPEN}")]
        assert offered(service, judged, WEB) == {"10.0.0.2:8080"}

    def test_one_that_starts_is_no_candidate(self) -> None:
        service = Service("web", (WEB,))
        judged = judge(service, listed(service, "10.0.0.1", health=Health.STARTING), Verdicts())
        assert (judged[0].state, offered(service, judged)) == (ReplicaState.STARTING, set())

    def test_with_none_nothing_is_asked_of_it(self) -> None:
        service = Service("web", (WEB,), health=health_check("none"))
        for health in Health:
            assert judge(service, listed(service, "10.0.0.1", health=health), Verdicts())[0].state is ReplicaState.READY

    def test_one_that_cannot_be_reached_is_not_opened(self) -> None:
        service = Service("web", (WEB,), network="other")
        judged = judge(service, listed(service, "10.0.0.1", health=Health.UNHEALTHY), Verdicts())
        assert offered(service, judged) == set()

    def test_one_that_was_paused_while_unhealthy_is_not_opened(self) -> None:
        service = Service("web", (WEB,))
        paused = replace(container("web-1", "10.0.0.1", health=Health.UNHEALTHY), status=ContainerStatus.PAUSED)
        judged = judge(service, replicas(service, [paused]), Verdicts())
        assert offered(service, judged) == set()
        assert judged[0].reason == "the container is paused"


class TestSeveralEndpoints:
    service = Service("web", (WEB, TLS), health=health_check("tcp"))

    def test_each_listener_has_those_that_are_well_for_it(self) -> None:
        told = known(self.service, a8080=WELL, a8443=ILL, b8080=ILL, b8443=WELL)
        judged = judge(self.service, listed(self.service, "10.0.0.1", "10.0.0.2"), told)
        assert states(judged) == [
            (ReplicaState.READY, f"10.0.0.1:8443: {FAILS}"),
            (ReplicaState.READY, f"10.0.0.2:8080: {FAILS}"),
        ]
        assert offered(self.service, judged, WEB) == {"10.0.0.1:8080"}
        assert offered(self.service, judged, TLS) == {"10.0.0.2:8443"}

    def test_a_listener_with_nobody_well_fails_open_alone(self) -> None:
        told = known(self.service, a8080=WELL, a8443=ILL, b8080=ILL, b8443=ILL)
        judged = judge(self.service, listed(self.service, "10.0.0.1", "10.0.0.2"), told)
        assert offered(self.service, judged, WEB) == {"10.0.0.1:8080"}
        assert offered(self.service, judged, TLS) == {"10.0.0.1:8443", "10.0.0.2:8443"}
        assert [is_failing_open(replica) for replica in judged] == [False, True]

    def test_a_port_of_its_own_speaks_for_all(self) -> None:
        service = replace(self.service, health=health_check("http:9000/up"))
        there = listed(service, "10.0.0.1", "10.0.0.2")
        assert [probe.endpoint.port for replica in there for probe in probes_of(service, replica)] == [9000, 9000]
        judged = judge(service, there, known(service, a9000=WELL, b9000=ILL))
        assert offered(service, judged, TLS) == {"10.0.0.1:8443"}

    def test_datagrams_go_by_the_tcp_port_of_the_same_number_else_by_all(self) -> None:
        both = Service("web", (WEB, DNS, Listener(53, to=53)), health=health_check("tcp"))
        judged = judge(
            both, listed(both, "10.0.0.1", "10.0.0.2"), known(both, a53=WELL, a8080=ILL, b53=ILL, b8080=WELL)
        )
        assert offered(both, judged, DNS) == {"10.0.0.1:53"}
        apart = Service("web", (WEB, TLS, DNS), health=health_check("tcp"))
        told = known(apart, a8080=WELL, a8443=WELL, b8080=WELL, b8443=ILL)
        assert offered(apart, judge(apart, listed(apart, "10.0.0.1", "10.0.0.2"), told), DNS) == {"10.0.0.1:53"}

    def test_an_address_family_that_fails_alone_does_not_fell_the_replica(self) -> None:
        there = replicas(TCP, [container("web-1", "10.0.0.1", "fd00::1"), container("web-2", "10.0.0.2")])
        six = Probe("web", "id-of-web-1", Endpoint(ip_address("fd00::1"), 8080), TCP.health)
        told = known(TCP, a8080=WELL, b8080=WELL)
        judged = judge(TCP, there, replace(told, by_probe={**told.by_probe, six: ILL}))
        assert states(judged)[0] == (ReplicaState.READY, f"[fd00::1]:8080: {FAILS}")
        assert offered(TCP, judged) >= {"10.0.0.1:8080", "10.0.0.2:8080"}

    def test_what_a_listener_cannot_reach_is_not_asked(self) -> None:
        bound = replace(TCP, listeners=(replace(WEB, address=ip_address("192.0.2.1")),))
        (replica,) = replicas(bound, [container("web-1", "10.0.0.1", "fd00::1")])
        assert [str(probe.endpoint) for probe in probes_of(bound, replica)] == ["10.0.0.1:8080"]


def test_what_is_gone_or_not_probed_is_not_asked() -> None:
    gone = replicas(TCP, [container("web-1", "10.0.0.1", status=ContainerStatus.EXITED)])
    none = replace(TCP, health=health_check("none"))
    assert list(probes_of(TCP, gone[0])) == []
    assert list(probes_of(none, listed(none, "10.0.0.1")[0])) == []


class TestUnchecked:
    """A container without a HEALTHCHECK runs before its program listens: it has to take one connection."""

    SERVICE = Service("web", (WEB,))

    def test_a_new_one_waits_until_it_takes_a_connection(self) -> None:
        there = listed(self.SERVICE, "10.0.0.1", "10.0.0.2")
        assert [str(probe.endpoint) for each in there for probe in probes_of(self.SERVICE, each)] == [
            "10.0.0.1:8080",
            "10.0.0.2:8080",
        ]
        failing = Verdict(failed=3, reason="connection refused")
        judged = judge(self.SERVICE, there, known(self.SERVICE, a8080=WELL, b8080=failing))
        assert states(judged) == [
            (ReplicaState.READY, None),
            (ReplicaState.STARTING, "it takes no connections yet: connection refused"),
        ]
        assert offered(self.SERVICE, judged) == {"10.0.0.1:8080"}

    def test_one_that_is_given_connections_keeps_them_whatever_is_known(self) -> None:
        there = listed(self.SERVICE, "10.0.0.1")
        served = {Endpoint(ip_address("10.0.0.1"), 8080)}
        assert judge(self.SERVICE, there, Verdicts(is_probed=True), served) == tuple(there)

    def test_where_no_agent_runs_nobody_waits(self) -> None:
        there = listed(self.SERVICE, "10.0.0.1")
        assert judge(self.SERVICE, there, Verdicts()) == tuple(there)

    def test_where_there_is_no_other_nobody_waits(self) -> None:
        """Whoever is attached takes over at once: as before, when something else had the port until then."""
        there = listed(self.SERVICE, "10.0.0.1", "10.0.0.2")
        assert judge(self.SERVICE, there, Verdicts(is_probed=True)) == tuple(there)
        resting = [there[0], replace(there[1], weight=0)]
        assert judge(self.SERVICE, resting, known(self.SERVICE, b8080=WELL)) == tuple(resting)

    def test_a_listener_that_it_takes_connections_of_does_not_wait_for_the_other(self) -> None:
        two = replace(self.SERVICE, listeners=(WEB, TLS))
        judged = judge(two, listed(two, "10.0.0.1", "10.0.0.2"), known(two, a8080=WELL, b8443=WELL))
        assert states(judged)[0] == (ReplicaState.READY, "10.0.0.1:8443: it takes no connections yet")
        assert (offered(two, judged), offered(two, judged, TLS)) == ({"10.0.0.1:8080"}, {"10.0.0.2:8443"})

    def test_datagrams_can_not_be_asked_about(self) -> None:
        dns = Service("dns", (DNS,))
        there = replicas(dns, [container("dns-1", "10.0.0.1")])
        assert list(probes_of(dns, there[0])) == []
        assert judge(dns, there, Verdicts(is_probed=True)) == tuple(there)

    @pytest.mark.parametrize("health", [Health.HEALTHY, Health.STARTING, Health.UNHEALTHY])
    def test_where_there_is_a_healthcheck_that_decides(self, health: Health) -> None:
        there = listed(self.SERVICE, "10.0.0.1", health=health)
        assert list(probes_of(self.SERVICE, there[0])) == []
        assert states(judge(self.SERVICE, there, Verdicts(is_probed=True)))[0][0] is there[0].state

    def test_what_is_listed_by_address_is_used_as_it_is(self) -> None:
        static = Service("web", (WEB,), endpoints=(StaticEndpoint(ip_address("10.0.0.1")),))
        there = replicas(static, [])
        assert list(probes_of(static, there[0])) == []
        assert judge(static, there, Verdicts(is_probed=True)) == tuple(there)


def test_whom_the_kernel_serves_is_read_off_the_ruleset() -> None:
    judged = judge(TCP, listed(TCP, "10.0.0.1", "10.0.0.2"), known(TCP, a8080=WELL, b8080=ILL))
    held = plan([ServiceReplicas(TCP, judged)])
    assert endpoints_served(held) == {"web": {Endpoint(ip_address("10.0.0.1"), 8080)}}
    assert endpoints_served(Ruleset()) == {}

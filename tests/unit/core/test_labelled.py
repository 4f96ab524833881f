"""Services of labels: who gets what, and what the others are told."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_address

import pytest

from netshare.core import label_ports
from netshare.core.labelled import Given, Labelled, Notice, as_held, held_by_labels, labelled
from netshare.core.model import (
    CheckKind,
    Container,
    ContainerStatus,
    Endpoint,
    HealthCheck,
    Listener,
    Protocol,
    Service,
    Source,
    Strategy,
)
from netshare.core.plan import ServiceReplicas, plan
from netshare.core.ruleset import Ruleset
from netshare.core.selection import COMPOSE_ONEOFF, replicas
from tests.fakes.engine import container

NOBODY: Callable[[Listener], str | None] = lambda _: None  # noqa: E731 (it is a value)


def labelled_container(name: str, address: str = "172.17.0.2", **values: str) -> Container:
    return container(name, address, labels={f"netshare.{key}": value for key, value in values.items()})


def make(
    *containers: Container,
    attached: Iterable[Service] = (),
    unreadable: Iterable[str] = (),
    held: Ruleset | None = None,
    kept: Iterable[str] = (),
    rival: Callable[[Listener], str | None] = NOBODY,
) -> Labelled:
    given = Given(
        attached={service.name: service for service in attached},
        unreadable=set(unreadable),
        weights={},
        held=held or Ruleset(),
        kept=set(kept),
        rival=rival,
    )
    return labelled(containers, given)


def in_kernel(*services: Service) -> Ruleset:
    return plan([ServiceReplicas(service, []) for service in services])


def by_labels(name: str, *listeners: Listener, strategy: Strategy = Strategy.RANDOM) -> Service:
    return Service(name, listeners, strategy, source=Source.LABELS)


WEB = labelled_container("web-1", service="web", port="80")


def told(found: Labelled) -> list[tuple[str, str]]:
    return [(notice.container, notice.reason) for notice in found.notices]


def test_a_container_is_a_service() -> None:
    assert make(WEB, container("other")) == Labelled((by_labels("web", Listener(80)),))


@pytest.mark.parametrize("status", ContainerStatus)
def test_it_lasts_as_long_as_the_container_is_there_at_all(status: ContainerStatus) -> None:
    assert make(replace(WEB, status=status)).services == (by_labels("web", Listener(80)),)
    assert make() == Labelled()


def test_a_one_off_of_compose_is_none() -> None:
    assert make(replace(WEB, labels={**WEB.labels, COMPOSE_ONEOFF: "True"})) == Labelled()


def test_replicas_that_disagree_about_ports_are_each_behind_their_own() -> None:
    first = labelled_container("web-1", "172.17.0.2", service="web", port="80", to="3000")
    second = labelled_container("web-2", "172.17.0.3", service="web", port="80,81", to="4000,4001")
    third = labelled_container("web-3", "172.17.0.4", service="web")
    [service] = make(third, second, first).services
    assert service == by_labels("web", Listener(80), Listener(81))
    assert [r.endpoints for r in replicas(service, [first, second, third])] == [
        {Listener(80): (Endpoint(ip_address("172.17.0.2"), 3000),)},
        {
            Listener(80): (Endpoint(ip_address("172.17.0.3"), 4000),),
            Listener(81): (Endpoint(ip_address("172.17.0.3"), 4001),),
        },
        {
            Listener(80): (Endpoint(ip_address("172.17.0.4"), 80),),
            Listener(81): (Endpoint(ip_address("172.17.0.4"), 81),),
        },
    ]


def test_the_first_that_says_something_decides_the_strategy() -> None:
    silent = labelled_container("web-0", service="web", port="80")
    first = labelled_container("web-1", service="web", strategy="source-hash")
    second = labelled_container("web-2", service="web", strategy="round-robin")
    found = make(second, first, silent)
    assert found.services == (by_labels("web", Listener(80), strategy=Strategy.SOURCE_HASH),)
    why = "the first of its service's containers, by name, that says something decides"
    assert told(found) == [("web-2", f"its label netshare.strategy is not followed: {why}")]


def test_a_health_check_is_one_for_all_and_must_find_a_port() -> None:
    check = HealthCheck(CheckKind.TCP)
    first = labelled_container("web-1", service="web", port="80", health="tcp")
    second = labelled_container("web-2", service="web", health="none")
    found = make(first, second)
    assert [service.health for service in found.services] == [check]
    assert [name for name, _ in told(found)] == ["web-2"]
    found = make(labelled_container("dns", service="dns", port="53/udp", health="tcp"))
    assert [service.health for service in found.services] == [HealthCheck()]
    [(_, reason)] = told(found)
    assert reason.startswith("its label netshare.health is not followed: health check tcp needs a TCP port to probe")


def test_a_port_without_a_service_and_a_service_without_a_port() -> None:
    found = make(labelled_container("web", port="80"), labelled_container("db", service="db"))
    assert found.services == ()
    assert told(found) == [("web", "its label netshare.port needs netshare.service beside it to name a service")]


def test_a_bad_label_skips_its_container_and_no_other() -> None:
    bad = labelled_container("web-0", service="web", port="80", weight="a lot")
    found = make(bad, WEB)
    assert found.services == (by_labels("web", Listener(80)),)
    reason = "its label netshare.weight can't be used: 'a lot' is not a weight"
    assert found.notices == (Notice("web-0", "docker", "web", reason),)
    assert str(found.notices[0]) == f"container web-0 (docker): {reason}"
    [skipped, served] = replicas(found.services[0], [bad, WEB])
    assert (skipped.reason, served.reason) == (reason, None)
    assert make(bad).services == ()


def test_a_label_that_there_is_not_is_told_of() -> None:
    found = make(labelled_container("web", service="web", port="80", wieght="3"))
    assert len(found.services) == 1
    assert told(found) == [("web", "there is no label 'netshare.wieght'; it is not looked at")]


class TestAttached:
    def test_what_is_attached_decides(self) -> None:
        attached = Service("web", (Listener(81),))
        asking = labelled_container("web-2", service="web", port="80,81", strategy="round-robin")
        found = make(WEB, asking, attached=[attached])
        assert found.services == ()
        assert told(found) == [
            ("web-1", "it is not put behind 80/tcp: web is attached by hand, and that decides"),
            ("web-2", "its label netshare.strategy is not followed: web is attached by hand, and that decides"),
        ]

    def test_where_both_say_the_same_nothing_is_told(self) -> None:
        assert make(WEB, attached=[Service("web", (Listener(80, to=8080),))]) == Labelled()

    @pytest.mark.parametrize(
        ("port", "is_taken"),
        [("80", True), ("10.0.0.1:80", True), ("80/udp", False), ("81", False)],
    )
    def test_a_port_it_holds_is_not_taken(self, port: str, *, is_taken: bool) -> None:
        shop = Service("shop", (Listener(80),))
        found = make(labelled_container("web-1", service="web", port=port), attached=[shop])
        assert (not found.services) is is_taken
        assert [reason.endswith("service shop, which is attached by hand, has it") for _, reason in told(found)] == [
            True
        ] * is_taken

    def test_beside_one_on_an_address_the_others_are_free(self) -> None:
        shop = Service("shop", (Listener(80, address=ip_address("10.0.0.1")),))
        assert make(WEB, attached=[shop]).services == (by_labels("web", Listener(80)),)
        same = labelled_container("web-1", service="web", port="10.0.0.1:80")
        assert make(same, attached=[shop]).services == ()

    def test_a_definition_that_can_not_be_read(self) -> None:
        found = make(WEB, unreadable=["web"])
        assert (found.services, told(found)) == (
            (),
            [("web-1", "service web has a definition, and it can't be read")],
        )
        held = in_kernel(Service("old", (Listener(80),)))
        found = make(WEB, unreadable=["old"], held=held)
        assert (found.services, told(found)) == ((), [("web-1", "it is not put behind 80/tcp: service old has it")])


class TestOneAnother:
    BETA = labelled_container("beta", service="beta", port="80,90")
    ALPHA = labelled_container("zeta", service="alpha", port="80")

    def test_the_first_by_name_wins_where_both_are_new(self) -> None:
        found = make(self.BETA, self.ALPHA)
        assert found.services == (by_labels("alpha", Listener(80)), by_labels("beta", Listener(90)))
        assert told(found) == [("beta", "it is not put behind 80/tcp: service alpha has it by its labels")]

    def test_who_has_it_keeps_it(self) -> None:
        held = in_kernel(by_labels("beta", Listener(80)))
        found = make(self.BETA, self.ALPHA, held=held)
        assert found.services == (by_labels("beta", Listener(80), Listener(90)),)
        assert told(found) == [("zeta", "it is not put behind 80/tcp: service beta has it by its labels")]

    def test_another_port_of_a_service_that_is_there_is_as_new_as_any(self) -> None:
        held = in_kernel(by_labels("alpha", Listener(79)), by_labels("beta", Listener(80)))
        greedy = labelled_container("zeta", service="alpha", port="79,80")
        found = make(self.BETA, greedy, held=held)
        assert found.services == (by_labels("alpha", Listener(79)), by_labels("beta", Listener(80), Listener(90)))

    def test_a_single_address_is_not_taken_out_of_all(self) -> None:
        held = in_kernel(by_labels("beta", Listener(80)))
        sly = labelled_container("zeta", service="alpha", port="10.0.0.1:80")
        assert [service.name for service in make(self.BETA, sly, held=held).services] == ["beta"]

    def test_one_that_is_gone_is_not_in_the_way(self) -> None:
        held = in_kernel(by_labels("beta", Listener(80)))
        assert make(self.ALPHA, held=held).services == (by_labels("alpha", Listener(80)),)


class TestRivals:
    @staticmethod
    def rival(listener: Listener) -> str | None:
        return f"{listener} is in use by nginx (pid 7)" if listener.port == 80 else None

    def test_others_keep_their_port(self) -> None:
        found = make(labelled_container("web-1", service="web", port="80,81"), rival=self.rival)
        assert found.services == (by_labels("web", Listener(81)),)
        assert told(found) == [("web-1", "it is not put behind 80/tcp: 80/tcp is in use by nginx (pid 7)")]

    def test_who_comes_later_is_none(self) -> None:
        held = in_kernel(by_labels("web", Listener(80)))
        assert make(WEB, held=held, rival=self.rival).services == (by_labels("web", Listener(80)),)
        held = in_kernel(Service("web", (Listener(80),)))
        assert make(WEB, held=held, rival=self.rival).services == ()


class TestSilence:
    def test_a_kept_service_stays_as_it_is_and_keeps_its_ports(self) -> None:
        held = in_kernel(by_labels("gone", Listener(80)), Service("shop", (Listener(81),)))
        assert held_by_labels(held) == {"gone (labels)"}
        found = make(WEB, held=held, kept=held_by_labels(held))
        assert (found.services, told(found)) == ((), [("web-1", "it is not put behind 80/tcp: service gone has it")])
        assert as_held("gone (labels)", held) == by_labels("gone", Listener(80))

    def test_nothing_is_said_of_what_is_kept(self) -> None:
        held = in_kernel(by_labels("web", Listener(80)))
        assert make(WEB, held=held, kept=["web (labels)"]) == Labelled()


class TestCounts:
    def test_the_ports_of_a_service(self) -> None:
        crowd = [
            labelled_container(f"web-{n}", service="web", port=",".join(str(n * 40 + port) for port in range(1, 41)))
            for n in range(4)
        ]
        found = make(*crowd)
        [service] = found.services
        assert len(service.listeners) == label_ports.MAX_LISTENERS
        assert told(found) == [
            (
                "web-1",
                "it is not put behind 65/tcp, 66/tcp, 67/tcp and 93 more: a service has at most 64 ports by labels",
            )
        ]

    def test_all_ports(self) -> None:
        crowd = [
            labelled_container(f"c{n:02}", service=f"s{n:02}", port=",".join(str(n * 64 + p) for p in range(1, 65)))
            for n in range(20)
        ]
        found = make(*crowd)
        assert sum(len(service.listeners) for service in found.services) == label_ports.MAX_LISTENERS_IN_ALL
        assert len(found.notices) == 4
        late = in_kernel(by_labels("s19", Listener(19 * 64 + 1)))
        assert "s19" in [service.name for service in make(*crowd, held=late).services]

    def test_all_slots(self) -> None:
        crowd = [
            labelled_container(f"c{n:02}", service=f"s{n:02}", port=str(n + 1), strategy="source-hash")
            for n in range(40)
        ]
        assert 30 <= len(make(*crowd).services) <= 32

    def test_a_long_name(self) -> None:
        name = "x" * 63 + "/" + "y" * 63
        found = make(labelled_container("web-1", service=name, port="80"))
        assert (found.services, len(found.notices)) == ((), 1)
        assert make(labelled_container("web-1", service=name)) == Labelled()


def test_the_same_port_of_two_protocols_is_two() -> None:
    dns = labelled_container("dns", service="dns", port="53,53/udp")
    assert make(dns).services == (by_labels("dns", Listener(53), Listener(53, Protocol.UDP)),)

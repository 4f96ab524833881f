"""Plans, written out; what holds for all of them is in tests/property."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

from netshare.core.links import Link
from netshare.core.model import Container, Endpoint, Family, Listener, Protocol, Service, Strategy
from netshare.core.plan import ServiceReplicas, plan
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.core.selection import replicas
from tests.fakes.engine import container

HTTP = Listener(80, to=8080)
WEB = Service("web", (HTTP,))
ONE, TWO = (Endpoint(ip_address(f"172.17.0.{number}"), 8080) for number in (2, 3))
SIX = Endpoint(ip_address("fd00:17::2"), 8080)
IP, IP6 = Match(Family.IP, Protocol.TCP, 80), Match(Family.IP6, Protocol.TCP, 80)
REFUSE = Dispatch("web")


def judged(service: Service, *running: Container) -> list[ServiceReplicas]:
    return [ServiceReplicas(service, replicas(service, running))]


def counted(*endpoints: Endpoint) -> frozenset[Target]:
    return frozenset(Target(Protocol.TCP, endpoint) for endpoint in endpoints)


def test_a_listener_on_every_address_is_one_dispatch_a_family() -> None:
    one, two = container("web-1", "172.17.0.2", "fd00:17::2"), container("web-2", "172.17.0.3")
    assert plan(judged(WEB, two, one)) == Ruleset(
        {IP: Dispatch("web", Strategy.RANDOM, (ONE, TWO)), IP6: Dispatch("web", Strategy.RANDOM, (SIX,))},
        counted(ONE, TWO, SIX),
    )


def test_a_family_without_replicas_refuses() -> None:
    planned = plan(judged(WEB, container("web-1", "172.17.0.2")))
    assert planned.dispatches == {IP: Dispatch("web", Strategy.RANDOM, (ONE,)), IP6: REFUSE}
    assert plan(judged(WEB)) == Ruleset({IP: REFUSE, IP6: REFUSE})


def test_a_listener_on_one_address_has_that_family_alone() -> None:
    bound = Listener(80, address=ip_address("fd00::1"), to=8080)
    planned = plan(judged(Service("web", (bound,)), container("web-1", "172.17.0.2", "fd00:17::2")))
    assert planned.dispatches == {replace(IP6, address=bound.address): Dispatch("web", Strategy.RANDOM, (SIX,))}


def test_a_leaving_replica_has_no_slot_and_is_still_counted() -> None:
    leaving = replace(container("web-2", "172.17.0.3"), leaving=True)
    planned = plan(judged(WEB, container("web-1", "172.17.0.2"), leaving))
    assert planned.dispatches[IP].slots == (ONE,)
    assert planned.targets == counted(ONE, TWO)


def test_what_is_held_of_a_kept_service_stays_and_all_else_goes() -> None:
    dns, old = Match(Family.IP, Protocol.UDP, 53), Match(Family.IP, Protocol.TCP, 81)
    draining = Target(Protocol.TCP, TWO)
    held = Ruleset(
        {
            IP: Dispatch("web", Strategy.RANDOM, (TWO,)),
            dns: Dispatch("dns", Strategy.RANDOM, (ONE,)),
            old: Dispatch("old"),
        },
        frozenset({draining, Target(Protocol.UDP, ONE)}),
    )
    planned = plan(judged(WEB, container("web-1", "172.17.0.2")), keep={"dns"}, held=held)
    assert planned.dispatches == {
        IP: Dispatch("web", Strategy.RANDOM, (ONE,)),
        IP6: REFUSE,
        dns: held.dispatches[dns],
    }
    # The kernel does not tell whose a target is: while something is unknown, none is forgotten.
    assert planned.targets == {Target(Protocol.UDP, ONE), Target(Protocol.TCP, ONE), draining}
    assert plan([], held=held) == Ruleset()


def test_a_service_that_took_a_kept_ones_place_wins() -> None:
    held = Ruleset({IP: Dispatch("old", Strategy.RANDOM, (TWO,))}, counted(TWO))
    planned = plan(judged(WEB, container("web-1", "172.17.0.2")), keep={"old"}, held=held)
    assert planned.dispatches[IP] == Dispatch("web", Strategy.RANDOM, (ONE,))


def test_subnets_with_endpoints_are_where_clients_may_be_neighbours() -> None:
    bridge, lan = (ip_network(subnet) for subnet in ("172.17.0.0/16", "192.168.1.0/24"))
    links = [Link("docker0", bridge), Link("eth0", lan)]
    assert plan(judged(WEB, container("web-1", "172.17.0.2")), links=links).hairpins == {bridge}
    assert plan(judged(WEB), links=links).hairpins == frozenset()

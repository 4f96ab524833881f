"""Replicas, judged one by one; what holds for all of them is in tests/property."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from netshare.core.model import (
    Attachment,
    ContainerStatus,
    Endpoint,
    Health,
    Listener,
    Protocol,
    ReplicaState,
    Service,
    StaticEndpoint,
)
from netshare.core.selection import COMPOSE_ONEOFF, COMPOSE_PROJECT, COMPOSE_SERVICE, LABEL_SERVICE, replicas, select
from tests.fakes.engine import container

HTTP = Listener(80)
WEB = Service("web", (HTTP,))
ONE = container("web-1", "172.17.0.2")


def endpoint(address: str, port: int) -> Endpoint:
    return Endpoint(ip_address(address), port)


class TestSelect:
    @pytest.mark.parametrize("name", ["web", "web-1", "web_1", "web-007", "web-10"])
    def test_a_container_of_that_name_or_of_it_and_a_number(self, name: str) -> None:
        assert [c.name for c in select(WEB, [container(name)])] == [name]

    @pytest.mark.parametrize(
        "name", ["webb", "web1", "web-", "web-a", "web-1a", "web-1-2", "my-web", "WEB", "web.1", ""]
    )
    def test_no_other_name(self, name: str) -> None:
        assert select(WEB, [container(name)]) == []

    def test_the_compose_service_before_the_name(self) -> None:
        shop = container("shop-web-1", labels={COMPOSE_PROJECT: "shop", COMPOSE_SERVICE: "web"})
        blog = container("blog-web-1", labels={COMPOSE_PROJECT: "blog", COMPOSE_SERVICE: "web"})
        assert select(WEB, [ONE, shop, blog]) == [blog, shop]
        assert select(Service("shop/web", ()), [ONE, shop, blog]) == [shop]
        assert select(Service("other/web", ()), [ONE, shop, blog]) == []

    def test_one_off_runs_of_compose_are_none(self) -> None:
        labels = {COMPOSE_PROJECT: "shop", COMPOSE_SERVICE: "web"}
        run = container("shop-web-run-1", labels=labels | {COMPOSE_ONEOFF: "True"})
        assert select(WEB, [run]) == []
        assert select(Service("web", (), select=((COMPOSE_SERVICE, "web"),)), [run]) == []

    def test_the_label_before_all_else(self) -> None:
        labelled = container("anything", labels={LABEL_SERVICE: "web"})
        composed = container("shop-web-1", labels={COMPOSE_PROJECT: "shop", COMPOSE_SERVICE: "web"})
        assert select(WEB, [ONE, composed, labelled]) == [labelled]


class TestState:
    @pytest.mark.parametrize(
        ("status", "health", "leaving", "state", "reason"),
        [
            (ContainerStatus.RUNNING, Health.NONE, False, ReplicaState.READY, None),
            (ContainerStatus.RUNNING, Health.HEALTHY, False, ReplicaState.READY, None),
            (ContainerStatus.RUNNING, Health.STARTING, False, ReplicaState.STARTING, "HEALTHCHECK has not passed yet"),
            (ContainerStatus.RUNNING, Health.UNHEALTHY, False, ReplicaState.UNHEALTHY, "HEALTHCHECK fails"),
            (ContainerStatus.RUNNING, Health.HEALTHY, True, ReplicaState.DRAINING, "stop signal was sent"),
            (ContainerStatus.PAUSED, Health.HEALTHY, False, ReplicaState.UNHEALTHY, "paused"),
            (ContainerStatus.CREATED, Health.NONE, False, ReplicaState.STARTING, "created"),
            (ContainerStatus.RESTARTING, Health.NONE, False, ReplicaState.STARTING, "restarting"),
            (ContainerStatus.REMOVING, Health.NONE, False, ReplicaState.GONE, "removing"),
            (ContainerStatus.EXITED, Health.HEALTHY, True, ReplicaState.GONE, "exited"),
            (ContainerStatus.DEAD, Health.NONE, False, ReplicaState.GONE, "dead"),
        ],
        ids=str,
    )
    def test_of_a_container(
        self, status: ContainerStatus, health: Health, *, leaving: bool, state: ReplicaState, reason: str | None
    ) -> None:
        [replica] = replicas(WEB, [replace(ONE, status=status, health=health, leaving=leaving)])
        assert replica.state is state
        assert (replica.reason is None) if reason is None else reason in str(replica.reason)

    def test_one_that_can_not_be_reached_is_not_ready_but_may_be_gone(self) -> None:
        lost = replace(ONE, obstacle="it shares the host's network")
        [replica] = replicas(WEB, [lost])
        assert (replica.state, replica.reason, replica.endpoints) == (ReplicaState.UNHEALTHY, lost.obstacle, {})
        [replica] = replicas(WEB, [replace(lost, status=ContainerStatus.EXITED)])
        assert replica.state is ReplicaState.GONE


class TestEndpoints:
    @pytest.mark.parametrize(
        ("listener", "exposed", "port"),
        [
            (HTTP, (), 80),
            (HTTP, (8080,), 8080),
            (Listener(80, to=3000), (8080, 9090), 3000),
            (Listener(53, Protocol.UDP), (8080,), 53),
        ],
        ids=str,
    )
    def test_the_port(self, listener: Listener, exposed: tuple[int, ...], port: int) -> None:
        [replica] = replicas(Service("web", (listener,)), [container("web", "172.17.0.2", exposed=exposed)])
        assert replica.endpoints == {listener: (endpoint("172.17.0.2", port),)}

    def test_several_ports_are_named(self) -> None:
        [replica] = replicas(WEB, [container("web", "172.17.0.2", exposed=(9090, 8080))])
        assert replica.state is ReplicaState.UNHEALTHY
        assert replica.reason == "it exposes several tcp ports (8080, 9090): say which with --to PORT"

    def test_both_addresses_of_a_network(self) -> None:
        [replica] = replicas(WEB, [container("web", "172.17.0.2", "fd00::2")])
        assert replica.endpoints[HTTP] == (endpoint("172.17.0.2", 80), endpoint("fd00::2", 80))

    def test_several_networks_are_named_and_one_can_be_chosen(self) -> None:
        front = Attachment("front", (ip_address("172.18.0.2"),))
        back = Attachment("back", (ip_address("172.19.0.2"),))
        both = replace(ONE, attachments=(front, back))
        [replica] = replicas(WEB, [both])
        assert replica.reason == "it is on several networks (back, front): say which with --network NET"
        [replica] = replicas(replace(WEB, network="back"), [both])
        assert replica.endpoints == {HTTP: (endpoint("172.19.0.2", 80),)}
        [replica] = replicas(replace(WEB, network="none"), [both])
        assert replica.reason == "it is not on network none (its networks: back, front)"

    def test_a_network_that_can_not_be_reached_is_not_counted(self) -> None:
        bridge = Attachment("bridge", (ip_address("172.17.0.2"),))
        macvlan = Attachment("lan", (ip_address("192.168.1.9"),), obstacle="network lan is macvlan")
        [replica] = replicas(WEB, [replace(ONE, attachments=(macvlan, bridge))])
        assert replica.endpoints == {HTTP: (endpoint("172.17.0.2", 80),)}
        [replica] = replicas(WEB, [replace(ONE, attachments=(macvlan,))])
        assert (replica.state, replica.reason) == (ReplicaState.UNHEALTHY, "network lan is macvlan")
        [replica] = replicas(replace(WEB, network="lan"), [replace(ONE, attachments=(macvlan, bridge))])
        assert replica.reason == "network lan is macvlan"

    def test_no_address_at_all(self) -> None:
        [replica] = replicas(WEB, [container("web")])
        assert replica.reason == "it has no address on any network"
        [replica] = replicas(replace(WEB, network="net"), [replace(ONE, attachments=(Attachment("net"),))])
        assert replica.reason == "it has no address on network net"


def test_static_replicas_are_ready_and_named_by_their_address() -> None:
    listener = Listener(80, to=8080)
    given = (StaticEndpoint(ip_address("10.0.0.5")), StaticEndpoint(ip_address("fd00::5"), 9000))
    found = replicas(Service("vm", (listener,), endpoints=given), [container("vm", "172.17.0.2")])
    assert [(r.name, r.engine, r.state) for r in found] == [
        ("10.0.0.5", "static", ReplicaState.READY),
        ("[fd00::5]:9000", "static", ReplicaState.READY),
    ]
    assert [r.endpoints[listener] for r in found] == [(endpoint("10.0.0.5", 8080),), (endpoint("fd00::5", 9000),)]

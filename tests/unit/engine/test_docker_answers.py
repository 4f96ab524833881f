from collections.abc import Callable
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netshare.core.model import Attachment, Container, ContainerStatus, Health, Protocol, PublishedPort
from netshare.engine.answers import plain, time_ns
from netshare.engine.docker_answers import attached_network_ids, containers, is_rootless, networks
from tests.unit.engine.docker_samples import (
    BRIDGE,
    INTERNAL,
    ISOLATED,
    MACVLAN,
    NETWORKS,
    SHOP,
    WEB_1,
    docker_20,
    docker_29,
    endpoint,
    network,
)


def listed(**fields: object) -> Container:
    [container] = containers([docker_20(**fields)], networks(NETWORKS))
    return container


@pytest.mark.parametrize("shape", [docker_20, docker_29])
def test_both_shapes_mean_the_same_container(shape: Callable[[], dict[str, object]]) -> None:
    assert containers([shape()], networks(NETWORKS)) == (
        Container(
            id=WEB_1,
            name="web-1",
            engine="docker",
            status=ContainerStatus.RUNNING,
            health=Health.HEALTHY,
            labels={"com.docker.compose.project": "shop", "com.docker.compose.service": "web"},
            attachments=(Attachment("bridge", (ip_address("172.17.0.2"),)),),
            exposed=frozenset({(8080, Protocol.TCP)}),
        ),
    )


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ("Up 2 minutes", Health.NONE),
        ("Up 2 minutes (healthy)", Health.HEALTHY),
        ("Up 2 minutes (unhealthy)", Health.UNHEALTHY),
        ("Up 1 second (health: starting)", Health.STARTING),
        ("Up 2 minutes (Paused)", Health.NONE),
        ("Exited (0) 2 minutes ago", Health.NONE),
        (None, Health.NONE),
    ],
)
def test_health_is_read_from_the_status_text(status: str | None, health: Health) -> None:
    assert listed(Status=status).health is health


@pytest.mark.parametrize(
    ("field", "health"),
    [("none", Health.NONE), ("starting", Health.STARTING), ("unhealthy", Health.UNHEALTHY)],
)
def test_the_health_field_of_newer_engines_wins(field: str, health: Health) -> None:
    assert listed(Health={"Status": field, "FailingStreak": 3}).health is health


@pytest.mark.parametrize("state", list(ContainerStatus))
def test_every_state_of_docker_is_known(state: ContainerStatus) -> None:
    container = listed(State=state.value)
    assert (container.status, container.obstacle) == (state, None)


def test_a_state_nobody_knows_is_an_obstacle() -> None:
    assert listed(State="levitating").obstacle == "Docker says it is levitating, which netshare does not know"
    assert listed(State=None).obstacle is not None


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("host", "--network host"),
        ("none", "--network none"),
        (f"container:{WEB_1}", "shares the network of container 3f2a5d1c0b9e"),
    ],
)
def test_network_modes_that_dnat_cannot_reach_are_obstacles_with_a_mend(mode: str, words: str) -> None:
    obstacle = listed(HostConfig={"NetworkMode": mode}).obstacle
    assert obstacle is not None
    assert words in obstacle
    assert "bridge network" in obstacle


@pytest.mark.parametrize("mode", ["default", "bridge", "shop_default", SHOP, "", None])
def test_other_network_modes_are_none(mode: str | None) -> None:
    assert listed(HostConfig={"NetworkMode": mode}).obstacle is None


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        (BRIDGE, None),
        (SHOP, None),
        (MACVLAN, "macvlan"),
        (INTERNAL, "internal"),
        (ISOLATED, "gateway mode isolated"),
        ("5" * 64, "does not list"),
    ],
)
def test_what_stands_in_the_way_on_a_network(identity: str, words: str | None) -> None:
    [attachment] = listed(NetworkSettings={"Networks": {"net": endpoint(identity)}}).attachments
    assert attachment.addresses == (ip_address("172.17.0.2"),)
    if words is None:
        assert attachment.obstacle is None
    else:
        assert attachment.obstacle is not None
        assert words in attachment.obstacle


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan", "overlay", "host", "null", "weave", ""])
def test_only_bridges_are_reached(driver: str) -> None:
    [found] = networks([network(SHOP, "shop", driver)]).values()
    assert found.obstacle is not None
    assert (driver or "unknown") in found.obstacle


def test_both_families_and_several_networks_in_order_of_name() -> None:
    attached = {"shop_default": endpoint(SHOP, "172.18.0.3", GlobalIPv6Address="fd00::3"), "bridge": endpoint()}
    assert listed(NetworkSettings={"Networks": attached}).attachments == (
        Attachment("bridge", (ip_address("172.17.0.2"),)),
        Attachment("shop_default", (ip_address("172.18.0.3"), ip_address("fd00::3"))),
    )


def test_ipv6_of_a_network_isolated_over_ipv6_only_is_left_out() -> None:
    options = {"com.docker.network.bridge.gateway_mode_ipv6": "isolated"}
    attached = {"shop": endpoint(SHOP, GlobalIPv6Address="fd00::3")}
    [container] = containers(
        [docker_20(NetworkSettings={"Networks": attached})], networks([network(SHOP, "shop", Options=options)])
    )
    assert container.attachments == (Attachment("shop", (ip_address("172.17.0.2"),)),)


@pytest.mark.parametrize("address", ["", "nonsense", "127.0.0.1", "0.0.0.0", "224.0.0.1", None, 7, ["172.17.0.2"]])
def test_an_address_that_no_container_can_have_is_none(address: object) -> None:
    [attachment] = listed(NetworkSettings={"Networks": {"bridge": endpoint() | {"IPAddress": address}}}).attachments
    assert attachment == Attachment("bridge")


def test_a_stopped_container_has_no_address_and_no_obstacle_for_it() -> None:
    attached = {"gone": endpoint("", "")}
    container = listed(State="exited", Status="Exited (0) 1 hour ago", NetworkSettings={"Networks": attached})
    assert container.attachments == (Attachment("gone"),)


def test_published_ports() -> None:
    ports = [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "127.0.0.1", "PrivatePort": 53, "PublicPort": 53, "Type": "udp"},
        {"PrivatePort": 9000, "Type": "sctp"},
    ]
    container = listed(Ports=ports)
    assert container.exposed == {(80, Protocol.TCP), (53, Protocol.UDP), (9000, Protocol.SCTP)}
    assert container.published == (
        PublishedPort(53, Protocol.UDP, ip_address("127.0.0.1")),
        PublishedPort(8080, Protocol.TCP),
    )


@pytest.mark.parametrize("port", [0, -1, 65536, "80", True, None, 80.0])
def test_ports_that_are_none_are_left_out(port: object) -> None:
    container = listed(Ports=[{"PrivatePort": port, "PublicPort": port, "Type": "tcp"}])
    assert (container.exposed, container.published) == (frozenset(), ())


def test_protocols_that_are_none_are_left_out() -> None:
    assert listed(Ports=[{"PrivatePort": 80, "Type": "quic"}, {"PrivatePort": 80}]).exposed == frozenset()


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["/web-1"], "web-1"),
        (["/other/alias", "/web-1"], "web-1"),
        (["/web\x1b[2J\n1"], "web\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}1"),
        ([], WEB_1[:12]),
        (None, WEB_1[:12]),
        ([7, "/"], WEB_1[:12]),
    ],
)
def test_names(names: object, name: str) -> None:
    assert listed(Names=names).name == name


def test_labels_that_are_not_text_are_left_out() -> None:
    assert listed(Labels={"a": "b", "c": 1, "d": None}).labels == {"a": "b"}
    assert listed(Labels=None).labels == {}


def test_leaving_and_rootless() -> None:
    known = networks(NETWORKS)
    [container] = containers([docker_20()], known, rootless=True, leaving={WEB_1})
    assert container.leaving
    assert container.obstacle is not None
    assert "rootless" in container.obstacle


@pytest.mark.parametrize(
    ("info", "rootless"),
    [
        ({"SecurityOptions": ["name=seccomp,profile=default", "name=rootless", "name=cgroupns"]}, True),
        ({"SecurityOptions": ["name=seccomp,profile=default"]}, False),
        ({"SecurityOptions": None}, False),
        ({}, False),
        ([], False),
    ],
)
def test_rootless_engines_say_so(info: object, *, rootless: bool) -> None:
    assert is_rootless(info) is rootless


def test_the_networks_that_must_be_known() -> None:
    stopped = docker_20(NetworkSettings={"Networks": {"gone": endpoint("5" * 64, "")}})
    assert attached_network_ids([docker_20(), stopped, {}, None]) == {BRIDGE}


def test_a_container_without_an_id_is_left_out() -> None:
    assert containers([{}, None, "web", docker_20(Id=None), docker_20(Id="")], {}) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T07:54:49.467183628Z", 1795334089467183000),
        ("2026-11-22T08:54:49.467183628+01:00", 1795334089467183000),
        ("2026-11-22T07:54:49Z", 1795334089000000000),
        ("2026-11-22T07:54:49", 0),
        ("0001-01-01T00:00:00Z", -62135596800000000000),
        ("yesterday", 0),
        (None, 0),
    ],
)
def test_points_in_time(text: str | None, expected: int) -> None:
    assert time_ns(text) == expected


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(field=st.sampled_from(sorted(docker_29())), value=ANYTHING)
def test_no_field_can_make_the_listing_fail(field: str, value: object) -> None:
    found = containers([docker_29(**{field: value}), docker_20(Id="other")], networks(NETWORKS))
    assert found[-1].id == "other"
    assert all(container.name.isprintable() for container in found)


@given(st.sampled_from(sorted(endpoint())), ANYTHING)
def test_no_field_of_an_endpoint_can_make_the_listing_fail(field: str, value: object) -> None:
    attached = {"bridge": endpoint() | {field: value}}
    listing = [docker_20(NetworkSettings={"Networks": attached})]
    assert len(attached_network_ids(listing)) <= 1
    assert len(containers(listing, networks(NETWORKS))) == 1


@given(ANYTHING)
def test_nothing_at_all_can_make_parsing_fail(value: object) -> None:
    assert containers(value, networks(value)) == ()
    assert containers([value], networks([value])) == ()
    assert not is_rootless(value)


@given(st.text())
def test_shown_text_has_no_control_characters(text: str) -> None:
    assert plain(text).isprintable()
    assert len(plain(text)) == len(text)

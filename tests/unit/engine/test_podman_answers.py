from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netshare.core.model import Attachment, Container, ContainerStatus, Health, Protocol, PublishedPort
from netshare.engine.podman_answers import Facts, containers, facts, ids, is_rootless, obstacles, storage
from tests.unit.engine.docker_samples import endpoint
from tests.unit.engine.podman_samples import INFRA, NETWORKS, WEB_1, compatible, inspected, listed, network

BRIDGED = Facts("bridge", frozenset({(8080, Protocol.TCP)}))


def one(
    item: dict[str, object] | None = None,
    compat: dict[str, object] | None = None,
    known: Facts = BRIDGED,
    *,
    rootless: bool = False,
) -> Container:
    [found] = containers(
        [item or listed()], [compat or compatible()], obstacles(NETWORKS), {WEB_1: known}, rootless=rootless
    )
    return found


def test_a_container_of_podman_4() -> None:
    assert one() == Container(
        id=WEB_1,
        name="web-1",
        engine="podman",
        labels={"io.podman.compose.project": "shop"},
        attachments=(Attachment("podman", (ip_address("10.88.0.2"),)),),
        exposed=frozenset({(8080, Protocol.TCP)}),
    )


def test_a_container_of_podman_5_on_two_networks() -> None:
    ids_of_5 = {
        "podman": endpoint("2f259bab93aa" * 5, "10.88.0.2"),
        "shop": endpoint("71a916a72252" * 5, "10.89.0.2", GlobalIPv6Address="fd00:89::2", GlobalIPv6PrefixLen=64),
    }
    found = one(listed(Networks=["podman", "shop"], ExposedPorts={"8080": ["tcp"]}), compatible(**ids_of_5))
    assert found.attachments == (
        Attachment("podman", (ip_address("10.88.0.2"),)),
        Attachment("shop", (ip_address("10.89.0.2"), ip_address("fd00:89::2"))),
    )


@pytest.mark.parametrize(
    ("said", "status", "leaving"),
    [
        ("configured", ContainerStatus.CREATED, False),
        ("created", ContainerStatus.CREATED, False),
        ("initialized", ContainerStatus.CREATED, False),
        ("running", ContainerStatus.RUNNING, False),
        ("stopping", ContainerStatus.RUNNING, True),
        ("paused", ContainerStatus.PAUSED, False),
        ("stopped", ContainerStatus.EXITED, False),
        ("exited", ContainerStatus.EXITED, False),
        ("removing", ContainerStatus.REMOVING, False),
    ],
)
def test_states(said: str, status: ContainerStatus, *, leaving: bool) -> None:
    found = one(listed(State=said))
    assert (found.status, found.leaving, found.obstacle) == (status, leaving, None)


def test_a_state_that_netshare_does_not_know_is_an_obstacle() -> None:
    assert one(listed(State="unknown")).obstacle == "Podman says it is unknown, which netshare does not know"
    assert one(listed(State=None)).obstacle == "Podman says it is in no state, which netshare does not know"


@pytest.mark.parametrize(
    ("said", "health"),
    [
        ("", Health.NONE),
        ("starting", Health.STARTING),
        ("healthy", Health.HEALTHY),
        ("unhealthy", Health.UNHEALTHY),
        ("stopped", Health.NONE),
        ("reset", Health.NONE),
        (None, Health.NONE),
    ],
)
def test_health(said: object, health: Health) -> None:
    assert one(listed(Status=said)).health is health


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("host", "--network host"),
        ("none", "--network none"),
        ("slirp4netns", "--network slirp4netns"),
        ("slirp4netns:port_handler=slirp4netns", "--network slirp4netns"),
        ("pasta", "--network pasta"),
        ("pasta:-t,auto", "--network pasta"),
        ("ns:/run/netns/x", "--network ns:…"),
        ("container:" + "5" * 64, "the network of container 555555555555 (--network container:…)"),
    ],
)
def test_what_dnat_cannot_reach(mode: str, words: str) -> None:
    found = one(known=Facts(mode))
    assert found.obstacle is not None
    assert words in found.obstacle
    assert "start it on a bridge network" in found.obstacle


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lan", "network lan is of driver macvlan; only bridge networks can be reached"),
        ("lan2", "network lan2 is of driver ipvlan; only bridge networks can be reached"),
        ("backend", "network backend is internal: nothing outside may reach it"),
        ("unheard-of", "Podman does not list its network unheard-of"),
    ],
)
def test_networks_that_dnat_does_not_reach_into(name: str, words: str) -> None:
    attached = {"podman": endpoint("podman", "10.88.0.2"), name: endpoint(name, "10.89.0.2")}
    found = one(compat=compatible(WEB_1, **attached))
    assert found.obstacle is None
    assert {a.network: a.obstacle for a in found.attachments} == {"podman": None, name: words}


def test_a_rootless_podman_is_an_obstacle() -> None:
    assert "rootless" in (one(rootless=True).obstacle or "")
    assert is_rootless({"Rootless": True})
    assert not any(map(is_rootless, ({"Rootless": False}, {"Rootless": "true"}, {}, None, [])))


def test_one_that_is_stopped_or_on_no_network_has_no_address() -> None:
    stopped = compatible(podman=endpoint("podman", ""))
    assert one(listed(State="exited"), stopped).attachments == (Attachment("podman"),)
    # Podman 5 invents a network of the mode's name.
    assert one(compat=compatible(none=endpoint("none", "")), known=Facts("none")).attachments == (Attachment("none"),)
    nothing = compatible() | {"NetworkSettings": {"Networks": None}}
    assert one(compat=nothing).attachments == ()
    [unlisted] = containers([listed()], [], {}, {WEB_1: BRIDGED})
    assert unlisted.attachments == ()


def test_a_container_of_a_pod_is_reached_at_the_pods_address() -> None:
    at_pod = {"podman": endpoint("podman", "10.88.0.17")}
    pod = {"Pod": "92b4ec8a1001", "PodName": "shop"}
    forwarded = [{"host_ip": "", "container_port": 8080, "host_port": 18081, "range": 1, "protocol": "tcp"}]
    infra, member = containers(
        [
            listed(INFRA, "92b4ec8a1001-infra", IsInfra=True, Ports=forwarded, **pod),
            listed(Networks=[], Ports=forwarded, **pod),
        ],
        [compatible(INFRA, **at_pod), compatible(**at_pod)],
        obstacles(NETWORKS),
        {INFRA: BRIDGED, WEB_1: Facts(f"container:{INFRA}", BRIDGED.exposed)},
    )
    assert (member.obstacle, member.attachments) == (None, (Attachment("podman", (ip_address("10.88.0.17"),)),))
    assert member.exposed == {(8080, Protocol.TCP)}
    assert infra.obstacle == "it only holds the network of pod shop: name or label the containers in the pod"
    # Whoever has the port is named once.
    assert (infra.published, member.published) == ((PublishedPort(18081, Protocol.TCP),), ())


def test_published_ports_and_ranges_of_them() -> None:
    def forward(host_port: int, count: int, protocol: str, host_ip: str = "") -> dict[str, object]:
        return {"host_ip": host_ip, "container_port": 53, "host_port": host_port, "range": count, "protocol": protocol}

    found = one(
        listed(Ports=[forward(5353, 2, "tcp,udp", "127.0.0.1"), forward(65535, 3, "sctp"), forward(0, 1, "tcp")])
    )
    local = ip_address("127.0.0.1")
    assert found.published == (
        PublishedPort(5353, Protocol.TCP, local),
        PublishedPort(5353, Protocol.UDP, local),
        PublishedPort(5354, Protocol.TCP, local),
        PublishedPort(5354, Protocol.UDP, local),
        PublishedPort(65535, Protocol.SCTP),
    )


def test_a_hostile_range_of_ports_ends_where_ports_end() -> None:
    for count, last in ((10**12, 65000), (65535, 65535)):
        found = one(listed(Ports=[{"host_port": 65000, "range": count, "protocol": "tcp"}]))
        assert [each.port for each in found.published] == list(range(65000, last + 1))


@pytest.mark.parametrize("declared", [False, True])
def test_exposed_ports(*, declared: bool) -> None:
    found = facts(inspected("bridge", "8080/tcp", "53/udp", declared=declared))
    assert found == Facts("bridge", frozenset({(8080, Protocol.TCP), (53, Protocol.UDP)}))


@pytest.mark.parametrize(
    "key", ["", "8080", "/tcp", "0/tcp", "65536/tcp", "80/icmp", "-1/tcp", "٨٠/tcp", "9" * 5000 + "/tcp"]
)
def test_what_is_no_exposed_port(key: str) -> None:
    assert facts(inspected("bridge", key)) == Facts("bridge")


@pytest.mark.parametrize(
    ("info", "found"),
    [
        ({"store": {"graphRoot": "/var/lib/containers/storage"}}, Path("/var/lib/containers/storage")),
        ({"store": {"graphRoot": "relative"}}, None),
        ({"store": {"graphRoot": "/a\0b"}}, None),
        ({"store": {}}, None),
        (None, None),
    ],
)
def test_where_podman_keeps_everything(info: object, found: Path | None) -> None:
    assert storage(info) == found


def test_one_that_is_gone_since_it_was_listed_is_left_out() -> None:
    assert list(ids([listed(), {}, None, listed("other", "b")])) == [WEB_1, "other"]
    assert [c.id for c in containers([listed(), {}, None, listed("other")], [], {}, {"other": BRIDGED})] == ["other"]


def test_names() -> None:
    assert one(listed(Names=[])).name == WEB_1[:12]
    assert one(listed(Names=["\x1b[2J"])).name == "\N{REPLACEMENT CHARACTER}[2J"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(listed())), ANYTHING)
def test_no_field_can_make_the_listing_fail(field: str, value: Any) -> None:  # noqa: ANN401 (anything)
    found = containers(
        [listed(**{field: value}), listed("other")],
        [compatible()],
        obstacles(NETWORKS),
        {WEB_1: BRIDGED, "other": BRIDGED},
    )
    assert found[-1].id == "other"
    assert all(container.name.isprintable() for container in found)


@given(st.sampled_from(sorted(network("x"))), ANYTHING)
def test_no_field_of_a_network_can_make_the_listing_fail(field: str, value: object) -> None:
    assert "podman" in obstacles([network("x") | {field: value}, *NETWORKS])


@given(ANYTHING)
def test_nothing_at_all_can_make_parsing_fail(value: object) -> None:
    assert containers(value, value, obstacles(value), {}) == ()
    assert list(ids([value])) == []
    assert facts(value).exposed == frozenset()
    assert not is_rootless(value)
    assert facts({"NetworkSettings": value, "HostConfig": value, "Config": value}).mode == ""


def test_ports_without_an_end_take_no_time() -> None:
    entry = {"host_port": 1, "range": 65535, "protocol": ",".join(["tcp", "udp"] * 200)}
    [found] = containers([listed(Ports=[entry] * 20)], [], {}, {WEB_1: facts({})})
    assert len(found.published) == 3 << 16

from contextlib import suppress
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netshare.core import labels, pods
from netshare.core.model import ContainerStatus, Protocol
from netshare.core.pods import Member, Published, Role
from netshare.errors import UsageError

RUNNING = ContainerStatus.RUNNING
PORTS = st.integers(1, 65535)
ADDRESSES = st.sampled_from([None, ip_address("127.0.0.1"), ip_address("fd00::1")])


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("80:8080", Published(80, 8080)),
        ("80:8080/TCP", Published(80, 8080)),
        ("53:5353/udp", Published(53, 5353, Protocol.UDP)),
        ("127.0.0.1:80:8080", Published(80, 8080, address=ip_address("127.0.0.1"))),
        ("[fd00::1]:80:8080/tcp", Published(80, 8080, address=ip_address("fd00::1"))),
    ],
)
def test_published_ports_are_read(word: str, expected: Published) -> None:
    assert pods.published(word) == expected


@pytest.mark.parametrize(
    "word",
    ["", "80", "80:", ":80", "80:0", "65536:80", "80:80/icmp", "80/tcp:80", "a:80:80", "0.0.0.0:80:80", "::1:80:80"],
)
def test_what_is_no_published_port_is_refused(word: str) -> None:
    with pytest.raises(UsageError) as refused:
        pods.published(word)
    assert refused.value.hint


@given(st.text())
def test_any_text_is_a_published_port_or_a_usage_error(word: str) -> None:
    with suppress(UsageError):
        read = pods.published(word)
        assert pods.published(str(read)) == read


@given(st.builds(Published, PORTS, PORTS, st.sampled_from(Protocol), ADDRESSES))
def test_a_published_port_is_read_as_it_is_written(port: Published) -> None:
    assert pods.published(str(port)) == port


@given(st.lists(st.builds(Published, PORTS, PORTS, st.sampled_from(Protocol), ADDRESSES), max_size=4))
def test_a_member_is_read_from_the_labels_it_was_given(ports: list[Published]) -> None:
    said = pods.labels_of("web", Role.SANDBOX, ports)
    read = pods.member("1", "web-pod", said, RUNNING)
    assert read == Member("1", "web-pod", "web", Role.SANDBOX, RUNNING, published=tuple(ports))
    assert labels.unknown(said) == []
    assert labels.read(said) == labels.NONE or labels.read(said).service is None


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"netshare.pod": "web"},
        {"netshare.pod": "web", "netshare.pod.role": "king"},
        {"netshare.pod": "../web", "netshare.pod.role": "replica"},
        {"netshare.pod": "web", "netshare.pod.role": "sandbox", "netshare.pod.ports": "80"},
        {"netshare.pod": "shop", "netshare.pod.role": "sandbox"},
    ],
)
def test_labels_that_make_no_sense_make_no_member(said: dict[str, str]) -> None:
    assert pods.member("1", "web-pod", said, RUNNING) is None


def test_replicas_are_in_order_of_their_numbers() -> None:
    names = ("web-10", "web-2", "web-pod", "shop-1", "web-1")
    members = [
        Member(name, name, name.split("-")[0], Role.SANDBOX if name == "web-pod" else Role.REPLICA, RUNNING)
        for name in names
    ]
    shop, web = pods.pods("docker", members)
    assert (shop.sandbox, [each.name for each in shop.replicas]) == (None, ["shop-1"])
    assert web.sandbox is members[2]
    assert [each.name for each in web.replicas] == ["web-1", "web-2", "web-10"]


def test_new_replicas_take_the_lowest_free_numbers() -> None:
    assert pods.replica_names("web", ["web-2", "web-04", "else"], 3) == ("web-1", "web-3", "web-4")


@pytest.mark.parametrize("word", ["", "-web", "a/b", "web pod", "w" * 52, "web\n", "\x1b[2J"])
def test_names_that_no_container_could_begin_with(word: str) -> None:
    with pytest.raises(UsageError) as refused:
        pods.pod_name(word)
    assert refused.value.message.isprintable()


@pytest.mark.parametrize("word", ["", "a b", "-v", "\x1b", "a\n"])
def test_what_is_no_image(word: str) -> None:
    with pytest.raises(UsageError):
        pods.image_name(word)


def test_variables() -> None:
    assert pods.environment("MODE=a=b c") == ("MODE", "a=b c")
    assert pods.environment("EMPTY=") == ("EMPTY", "")
    for word in ("MODE", "=x", "a b=c", "A=\0", "1A=b"):
        with pytest.raises(UsageError):
            pods.environment(word)


@pytest.mark.parametrize("word", ["0", "-1", "101", "two", "", "1.5", "9999"])
def test_numbers_of_replicas(word: str) -> None:
    assert pods.number_of_replicas("100") == 100
    with pytest.raises(UsageError):
        pods.number_of_replicas(word)

"""One container's labels, read one by one."""

from ipaddress import ip_address

import pytest

from netshare.core import labels
from netshare.core.labels import Labels
from netshare.core.model import CheckKind, HealthCheck, Listener, Protocol, Strategy
from netshare.errors import UsageError


def read(**values: str) -> Labels:
    return labels.read({f"netshare.{key}": value for key, value in values.items()})


def test_a_container_that_says_nothing() -> None:
    assert labels.read({}) == labels.read({"maintainer": "me", "netshare": "x", "my.netshare.port": "80"}) == Labels()


def test_everything_at_once() -> None:
    said = read(
        service="shop/web",
        port="80, 53/udp ,127.0.0.1:81,[fd00::1]:443/tcp,10.0.0.1:5000/sctp",
        to="8080",
        network="front",
        weight="256",
        strategy="source-hash",
        health="http:8081/up?deep=1 interval=1s",
        drain="30s",
    )
    assert said == Labels(
        "shop/web",
        (
            Listener(80, to=8080),
            Listener(53, Protocol.UDP, to=8080),
            Listener(81, address=ip_address("127.0.0.1"), to=8080),
            Listener(443, address=ip_address("fd00::1"), to=8080),
            Listener(5000, Protocol.SCTP, ip_address("10.0.0.1"), 8080),
        ),
        8080,
        "front",
        256,
        Strategy.SOURCE_HASH,
        HealthCheck(CheckKind.HTTP, 8081, "/up?deep=1", interval=1.0),
        30.0,
    )


def test_a_target_for_each_port() -> None:
    said = read(port="80,53/udp", to="8080,5353")
    assert [listener.to for listener in said.listeners] == [8080, 5353]
    assert said.to is None
    assert said.target(Listener(53, Protocol.UDP)) == 5353
    assert said.target(Listener(54, Protocol.UDP)) is None
    assert read(to="8080").target(Listener(54, Protocol.UDP)) == 8080


def test_what_a_container_asks_for() -> None:
    said = read(port="80,10.0.0.1:81")
    assert said.asks_for(Listener(80))
    assert not said.asks_for(Listener(81))
    assert not said.asks_for(Listener(80, Protocol.UDP))
    assert read(service="web").asks_for(Listener(80))


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("service", "", "'' is not a service name"),
        ("service", "../etc", "is not a service name"),
        ("service", "a\nb", r"'a\nb' is not a service name"),
        ("port", "", "'' is not a port"),
        ("port", "80,", "'' is not a port"),
        ("port", "0", "port 0 is out of range"),
        ("port", "65536", "port 65536 is out of range"),
        ("port", "9" * 4000, "is out of range"),
        ("port", "9" * 5000, "it has 5000 characters"),
        ("port", "٨٠", "is not a port"),
        ("port", "80/icmp", "is not a protocol"),
        ("port", "80;81", "'80;81' is not a port"),
        ("port", "80\x1b[2J", r"'80\x1b[2J' is not a port"),
        ("port", "fd00::1:80", "'fd00::1:80' is not a port"),
        ("port", "[fd00::1]", "'[fd00::1]' is not a port"),
        ("port", ":80", "'' is not an address to listen on"),
        ("port", "[]:80", "'' is not an address to listen on"),
        ("port", "web:80", "'web' is not an address to listen on"),
        ("port", "0.0.0.0:80", "the address 0.0.0.0 names no address"),
        ("port", "[::1]:80", "the kernel does not route from ::1"),
        ("port", "224.0.0.1:80", "is a multicast address"),
        ("port", "80,81,80/tcp", "it names 80/tcp twice"),
        ("port", ",".join(map(str, range(1, 66))), "it names 65 ports, and 64 are the most"),
        ("to", "0", "port 0 is out of range"),
        ("to", "8080,8081", "its label netshare.to names 2 ports, and netshare.port 0"),
        ("network", "a b", "is not a network's name"),
        ("weight", "257", "'257' is not a weight"),
        ("weight", "-1", "'-1' is not a weight"),
        ("weight", "1.5", "'1.5' is not a weight"),
        ("weight", "٣", "is not a weight"),
        ("strategy", "least-conn", "there is no strategy 'least-conn'"),
        ("health", "ftp", "'ftp' is not a health check"),
        ("health", "http:0/", "port 0 is out of range"),
        ("health", "http:/\r\nHost: evil", "is not a"),
        ("drain", "soon", "'soon' is not a time"),
    ],
)
def test_a_bad_label_is_named_in_a_line(key: str, value: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(**{key: value})
    message = refused.value.message
    assert message.startswith(f"its label netshare.{key} ")
    assert why in message
    assert message.isprintable()
    assert len(message) < 250


def test_the_service_of_a_container_whose_other_labels_are_bad() -> None:
    assert labels.service({"netshare.service": "web", "netshare.port": "x"}) == "web"
    assert labels.service({"netshare.service": "../web"}) is None
    assert labels.service({}) is None


def test_labels_that_there_are_not() -> None:
    assert labels.unknown({"netshare.prot": "80", "netshare.port": "80", "app": "x", "netshare.": ""}) == [
        "netshare.",
        "netshare.prot",
    ]

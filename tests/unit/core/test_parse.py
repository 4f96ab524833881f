from ipaddress import ip_address

import pytest

from netshare.core import parse
from netshare.core.model import Protocol, StaticEndpoint, Strategy
from netshare.errors import UsageError


@pytest.mark.parametrize("word", ["web", "a", "shop/web", "9lives", "a.b_c-d", "a" * 63, f"{'p' * 63}/{'n' * 63}"])
def test_a_service_name_is_taken_as_it_is(word: str) -> None:
    assert parse.service_name(word) == word


@pytest.mark.parametrize(
    "word",
    [
        "",
        "-web",
        ".web",
        "_web",
        "web ",
        "web\n",
        "a" * 64,
        "a/b/c",
        "/web",
        "web/",
        "../etc",
        "wéb",
        "web;x",
        "a\x00b",
    ],
)
def test_what_is_no_service_name_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="is not a service name") as refused:
        parse.service_name(word)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("80", (80, Protocol.TCP)),
        ("1", (1, Protocol.TCP)),
        ("65535/tcp", (65535, Protocol.TCP)),
        ("53/udp", (53, Protocol.UDP)),
        ("53/UDP", (53, Protocol.UDP)),
        ("3868/sctp", (3868, Protocol.SCTP)),
    ],
)
def test_a_port_may_name_its_protocol(word: str, expected: tuple[int, Protocol]) -> None:
    assert parse.port_and_protocol(word) == expected


@pytest.mark.parametrize("word", ["0", "65536", "99999", "9" * 5000, "00000"])
def test_a_port_out_of_range_says_the_range(word: str) -> None:
    with pytest.raises(UsageError, match=r"^port \d+ is out of range$") as refused:
        parse.port_and_protocol(word)
    assert refused.value.hint == "ports are 1 to 65535"


@pytest.mark.parametrize("word", ["abc", "", "-1", "+80", "8 0", "80.0", "0x50", "٨٠", "/tcp", " 80", "80\n"])
def test_what_is_no_number_is_no_port(word: str) -> None:
    with pytest.raises(UsageError, match="is not a port"):
        parse.port_and_protocol(word)


@pytest.mark.parametrize("word", ["80/", "80/icmp", "80/tcp/udp", "80/tcp "])
def test_an_unknown_protocol_names_the_choices(word: str) -> None:
    with pytest.raises(UsageError, match="is not a protocol") as refused:
        parse.port_and_protocol(word)
    assert refused.value.hint == "write 80/tcp or 80/udp or 80/sctp"


@pytest.mark.parametrize("word", ["10.0.0.1", "127.0.0.1", "192.168.1.255", "fd00::1", "2001:db8::5"])
def test_an_address_to_listen_on(word: str) -> None:
    assert parse.listen_address(word) == ip_address(word)


@pytest.mark.parametrize("word", ["0.0.0.0", "::"])
def test_listening_on_every_address_is_said_by_leaving_the_option_out(word: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse.listen_address(word)
    assert "leave --listen out" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("240.0.0.1", "reserved"),
        ("::1", "does not route from ::1"),
        ("::ffff:10.0.0.1", "IPv4 address in disguise"),
        ("fe80::1%eth0", "names an interface"),
        ("localhost", "is not an address to listen on"),
        ("eth0", "is not an address to listen on"),
        ("10.0.0.1/24", "is not an address to listen on"),
        ("10.0.0.1:80", "is not an address to listen on"),
        ("010.0.0.1", "is not an address to listen on"),
        ("", "is not an address to listen on"),
    ],
)
def test_what_no_connection_can_be_made_to_is_refused(word: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        parse.listen_address(word)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("10.0.0.2", StaticEndpoint(ip_address("10.0.0.2"))),
        ("10.0.0.2:8080", StaticEndpoint(ip_address("10.0.0.2"), 8080)),
        ("fd00::2", StaticEndpoint(ip_address("fd00::2"))),
        ("[fd00::2]", StaticEndpoint(ip_address("fd00::2"))),
        ("[fd00::2]:8080", StaticEndpoint(ip_address("fd00::2"), 8080)),
    ],
)
def test_an_endpoint_may_name_its_port(word: str, expected: StaticEndpoint) -> None:
    assert parse.endpoint(word) == expected


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("", "is not an endpoint"),
        ("web:80", "is not an endpoint"),
        (":80", "is not an endpoint"),
        ("[fd00::2]8080", "is not an endpoint"),
        ("[10.0.0.2]:80:80", "is not a port"),
        ("10.0.0.2:", "is not a port"),
        ("10.0.0.2:http", "is not a port"),
        ("10.0.0.2:0", "out of range"),
        ("[fd00::2]:65536", "out of range"),
        ("127.0.0.1:80", "can't be reached"),
        ("[::1]:80", "can't be reached"),
        ("0.0.0.0", "can't be reached"),
        ("239.1.1.1:80", "multicast"),
        ("fe80::2", "link-local"),
        ("fe80::2%eth0", "names an interface"),
    ],
)
def test_an_endpoint_that_nothing_can_reach_is_refused(word: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        parse.endpoint(word)
    assert refused.value.hint


def test_a_label_selector() -> None:
    assert parse.label_selector("app=web") == ("app", "web")
    assert parse.label_selector("expr=a=b") == ("expr", "a=b")
    assert parse.label_selector("flag=") == ("flag", "")


@pytest.mark.parametrize("word", ["app", "=web", "", "a b=c", "a\n=c", "a=\x1b[31m", "a=" + "b" * 5000])
def test_what_no_engine_has_as_a_label_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="--select"):
        parse.label_selector(word)


@pytest.mark.parametrize(
    ("word", "seconds"),
    [("60", 60), ("60s", 60), ("500ms", 0.5), ("2m", 120), ("1h", 3600), ("1.5s", 1.5), ("0", 0)],
)
def test_a_duration(word: str, seconds: float) -> None:
    assert parse.duration(word) == pytest.approx(seconds)


@pytest.mark.parametrize("word", ["", "s", "-1s", "1d", "inf", "nan", "25h", "1e3", "1 s"])
def test_what_is_no_duration_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        parse.duration(word)


def test_choices() -> None:
    assert [parse.strategy(each) for each in Strategy] == list(Strategy)
    assert [parse.driver(each) for each in ("auto", "nftables", "iptables")] == ["auto", "nftables", "iptables"]
    assert parse.engine("static") == "static"
    assert parse.engine("podman") == "podman"
    for read in (parse.strategy, parse.driver, parse.engine):
        with pytest.raises(UsageError, match=r"there is no .* 'frob'") as refused:
            read("frob")
        assert (refused.value.hint or "").startswith("choose ")


def test_a_network_name() -> None:
    assert parse.network_name("shop_default") == "shop_default"
    with pytest.raises(UsageError, match="is not a network's name"):
        parse.network_name("shop default")


def test_a_hostile_word_is_shown_harmless_and_short() -> None:
    shown = parse.shown("\x1b[2J\u202e" + "x" * 500)
    assert shown.isprintable()
    assert len(shown) < 100

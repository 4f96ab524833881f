"""What hypothesis draws from: worlds small enough that addresses, ports and names collide all the time."""

from ipaddress import ip_address, ip_network

from hypothesis import strategies as st

from netshare.core.links import Link
from netshare.core.model import (
    Attachment,
    CheckKind,
    Container,
    ContainerStatus,
    Endpoint,
    Family,
    Health,
    HealthCheck,
    IPAddress,
    Listener,
    Protocol,
    Service,
    StaticEndpoint,
    Strategy,
)
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.core.selection import COMPOSE_ONEOFF, COMPOSE_PROJECT, COMPOSE_SERVICE, LABEL_SERVICE

NAMES = ("web", "dns", "shop/web", "x" * 63 + "/" + "y" * 63)
PORTS = (1, 80, 65535)

_LOCAL: dict[Family, tuple[IPAddress | None, ...]] = {
    Family.IP: (None, ip_address("10.0.0.1"), ip_address("127.0.0.1")),
    Family.IP6: (None, ip_address("fd00::1"), ip_address("2001:db8::ffff:1")),
}
_ENDPOINTS: dict[Family, tuple[Endpoint, ...]] = {
    family: tuple(Endpoint(ip_address(prefix + str(number)), port) for number in range(2, 6) for port in (80, 8080))
    for family, prefix in ((Family.IP, "172.17.0."), (Family.IP6, "fd00:17::"))
}

# None of them lies in another: a plan has no such.
_SUBNETS = tuple(
    ip_network(subnet)
    for subnet in (
        "0.0.0.0/1",
        "172.17.0.0/16",
        "192.168.0.0/17",
        "192.0.2.7/32",
        "255.255.255.0/24",
        "fd00:17::/64",
        "fd01::1/128",
        "ffff:ffff::/32",
    )
)

families = st.sampled_from(Family)
protocols = st.sampled_from(Protocol)


def endpoints(family: Family) -> st.SearchStrategy[Endpoint]:
    """Draw one of a few endpoints of a family."""
    return st.sampled_from(_ENDPOINTS[family])


@st.composite
def matches(draw: st.DrawFn) -> Match:
    """Draw what a connection is compared with."""
    family = draw(families)
    return Match(family, draw(protocols), draw(st.sampled_from(PORTS)), draw(st.sampled_from(_LOCAL[family])))


@st.composite
def dispatches(draw: st.DrawFn, match: Match) -> Dispatch:
    """Draw where a match goes: a refusal, or slots that may name an endpoint twice, as weights will."""
    slots = tuple(draw(st.lists(endpoints(match.family), max_size=6)))
    return Dispatch(draw(st.sampled_from(NAMES)), draw(st.sampled_from(Strategy)) if slots else None, slots)


@st.composite
def rulesets(draw: st.DrawFn) -> Ruleset:
    """Draw a ruleset: every slot's endpoint is counted, as are some that have no slot."""
    chosen = draw(st.lists(matches(), unique=True, max_size=8))
    going = {match: draw(dispatches(match)) for match in chosen}
    counted = {Target(match.protocol, endpoint) for match, dispatch in going.items() for endpoint in dispatch.slots}
    draining = draw(st.lists(st.builds(Target, protocols, families.flatmap(endpoints)), max_size=4))
    hairpins = draw(st.frozensets(st.sampled_from(_SUBNETS), max_size=3))
    return Ruleset(going, frozenset(counted) | frozenset(draining), hairpins)


# --- services and containers ------------------------------------------------------------------------------------------

SERVICES = ("web", "shop/web", "w.b", "a+b")
"""Names of services; the last two mean something else to a regular expression."""

_CONTAINERS = (
    "web",
    "web-1",
    "web_2",
    "web-10",
    "web-x",
    "webb",
    "xweb",
    "shop-web-1",
    "wxb-1",
    "w.b-1",
    "aab",
    "a+b_3",
)
_NETWORKS = ("bridge", "shop_default")


def _labels() -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries(
        {},
        optional={
            LABEL_SERVICE: st.sampled_from(SERVICES),
            COMPOSE_SERVICE: st.sampled_from(("web", "w.b")),
            COMPOSE_PROJECT: st.sampled_from(("shop", "blog")),
            COMPOSE_ONEOFF: st.sampled_from(("True", "False")),
            "tier": st.sampled_from(("front", "back")),
        },
    )


@st.composite
def containers(draw: st.DrawFn) -> list[Container]:
    """Draw all containers of a host: ids and addresses are unique, as an engine sees to; names and labels collide."""
    names = draw(st.lists(st.sampled_from(_CONTAINERS), max_size=6))
    return [draw(_container(number, name)) for number, name in enumerate(names)]


@st.composite
def _container(draw: st.DrawFn, number: int, name: str) -> Container:
    attachments = tuple(
        Attachment(
            network, _addresses(index, number, ipv6=draw(st.booleans())), draw(st.sampled_from((None, "internal")))
        )
        for index, network in enumerate(draw(st.lists(st.sampled_from(_NETWORKS), unique=True, max_size=2)))
    )
    return Container(
        id=f"{number:012x}",
        name=name,
        engine=draw(st.sampled_from(("docker", "podman"))),
        status=draw(st.sampled_from(ContainerStatus) | st.just(ContainerStatus.RUNNING)),
        health=draw(st.sampled_from(Health) | st.just(Health.NONE)),
        labels=draw(_labels()),
        attachments=attachments,
        exposed=draw(st.frozensets(st.tuples(st.sampled_from(PORTS), protocols), max_size=2)),
        obstacle=draw(st.sampled_from((None, None, None, "it shares the host's network"))),
        leaving=draw(st.booleans()),
    )


def _addresses(network: int, number: int, *, ipv6: bool) -> tuple[IPAddress, ...]:
    four, six = ip_address(f"172.{17 + network}.0.{2 + number}"), ip_address(f"fd00:{17 + network}::{2 + number:x}")
    return (four, six) if ipv6 else (four,)


_LISTENERS = st.builds(
    Listener,
    st.sampled_from(PORTS),
    protocols,
    st.sampled_from([*_LOCAL[Family.IP], *_LOCAL[Family.IP6]]),
    st.sampled_from((None, 80, 8080)),
)


@st.composite
def services(draw: st.DrawFn) -> list[Service]:
    """Draw definitions as `attach` lets them be: no two listeners are the same."""
    names = draw(st.lists(st.sampled_from(SERVICES), unique=True, min_size=1))
    listeners = draw(
        st.lists(_LISTENERS, unique_by=lambda one: (one.port, one.protocol, one.address), min_size=1, max_size=8),
    )
    return [
        draw(_service(name, tuple(listeners[index :: len(names)])))
        for index, name in enumerate(names)
        if listeners[index:]
    ]


@st.composite
def _service(draw: st.DrawFn, name: str, listeners: tuple[Listener, ...]) -> Service:
    if draw(st.booleans()):
        return Service(
            name,
            listeners,
            select=draw(st.sampled_from(((), (), (("tier", "front"),)))),
            network=draw(st.sampled_from((None, *_NETWORKS))),
            engine=draw(st.sampled_from((None, "docker"))),
        )
    given = st.builds(
        StaticEndpoint,
        families.flatmap(endpoints).map(lambda endpoint: endpoint.address),
        st.sampled_from((None, 80)),
    )
    return Service(name, listeners, endpoints=tuple(draw(st.lists(given, unique=True, min_size=1, max_size=4))))


links = st.lists(
    st.builds(
        Link,
        st.sampled_from(("br0", "br1", "eth0")),
        st.sampled_from(
            [ip_network(net) for net in ("172.17.0.0/16", "172.17.0.0/29", "172.18.0.0/16", "fd00:17::/64")]
        ),
    ),
    max_size=4,
)


@st.composite
def probed_checks(draw: st.DrawFn) -> HealthCheck:
    """Any check that netshare does itself."""
    kind = draw(st.sampled_from((CheckKind.TCP, CheckKind.HTTP)))
    interval = draw(st.integers(100, 3_600_000))
    path = "/" + draw(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=30))
    is_http = kind is CheckKind.HTTP
    return HealthCheck(
        kind,
        draw(st.none() | st.integers(1, 65535)),
        path.replace("//", "/x") if is_http else "",
        draw(st.none() | st.from_regex(r"\A[a-z0-9](\.?[a-z0-9]){0,20}(:[1-9][0-9]{0,3})?\Z")) if is_http else None,
        interval / 1000,
        draw(st.integers(10, min(interval, 60_000))) / 1000,
        draw(st.integers(1, 100)),
        draw(st.integers(1, 100)),
    )

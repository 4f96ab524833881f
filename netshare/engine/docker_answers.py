"""What Docker's answers mean: JSON of its API in, containers out. Pure, and forgiving.

Answers are input like any other: fields are missing on some versions, have other types on others, and a name may hold
anything. Nothing here raises on a strange answer; a container that can't be understood carries an obstacle in words,
and one that has not even an id is left out.

Shapes: API 1.41 (Docker 20.10) to 1.52 (Docker 29), which has no top-level ``NetworkSettings.IPAddress`` any more and
lists ``Health`` as a field of its own.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType

from netshare.core.model import Attachment, Container, ContainerStatus, Health, Protocol, PublishedPort
from netshare.engine.answers import Answer, addresses, host_address, items, labels, mapping, plain, port, protocol

ENGINE = "docker"
ROOTLESS = "Docker runs rootless: its networks are in a namespace of their own, which the host's kernel cannot reach"

_NO_MODE: Mapping[str, str] = MappingProxyType(
    {
        "host": "it uses the host's network (--network host): start it on a bridge network",
        "none": "it has no network (--network none): start it on a bridge network",
    }
)
_ISOLATED = "isolated"
_GATEWAY_MODE_4 = "com.docker.network.bridge.gateway_mode_ipv4"
_GATEWAY_MODE_6 = "com.docker.network.bridge.gateway_mode_ipv6"


@dataclass(frozen=True, slots=True)
class Network:
    """What matters of one of Docker's networks: whether DNAT reaches into it, and over which families."""

    id: str
    name: str
    obstacle: str | None = None
    ipv6: bool = True


def is_rootless(info: object) -> bool:
    """Whether ``GET /info`` is the answer of a rootless engine."""
    options = mapping(info).get("SecurityOptions")
    return isinstance(options, list) and any(
        "name=rootless" in option.split(",") for option in options if isinstance(option, str)
    )


def networks(answer: object) -> dict[str, Network]:
    """Read ``GET /networks``, by network id."""
    found = (_network(item) for item in items(answer))
    return {network.id: network for network in found if network.id}


def _network(item: Answer) -> Network:
    name, driver = plain(item.get("Name")), plain(item.get("Driver"))
    options = mapping(item.get("Options"))
    obstacle = None
    if driver != "bridge":
        obstacle = f"network {name} is of driver {driver or 'unknown'}; only bridge networks can be reached"
    elif item.get("Internal") is True:
        obstacle = f"network {name} is internal: nothing outside may reach it"
    elif options.get(_GATEWAY_MODE_4) == _ISOLATED:
        obstacle = f"network {name} has gateway mode isolated: nothing outside may reach it"
    return Network(plain(item.get("Id")), name, obstacle, ipv6=options.get(_GATEWAY_MODE_6) != _ISOLATED)


def attached_network_ids(listing: object) -> Set[str]:
    """Name the networks that the containers of ``GET /containers/json`` have an address on."""
    return {
        plain(endpoint.get("NetworkID"))
        for item in items(listing)
        for endpoint in map(mapping, mapping(mapping(item.get("NetworkSettings")).get("Networks")).values())
        if endpoint.get("NetworkID") and addresses(endpoint)
    }


def containers(
    listing: object,
    known: Mapping[str, Network],
    *,
    rootless: bool = False,
    leaving: Set[str] = frozenset(),
) -> tuple[Container, ...]:
    """Read ``GET /containers/json``; ``leaving`` are the ids of those whose stop signal was sent."""
    return tuple(
        _container(item, known, rootless=rootless, leaving=leaving) for item in items(listing) if plain(item.get("Id"))
    )


def _container(item: Answer, known: Mapping[str, Network], *, rootless: bool, leaving: Set[str]) -> Container:
    identity = plain(item.get("Id"))
    status, strange = _status(item)
    exposed, published = _ports(item)
    return Container(
        id=identity,
        name=_name(item) or identity[:12],
        engine=ENGINE,
        status=status,
        health=_health(item),
        labels=labels(item.get("Labels")),
        attachments=_attachments(item, known),
        exposed=exposed,
        published=published,
        obstacle=(ROOTLESS if rootless else None) or _mode_obstacle(item) or strange,
        leaving=identity in leaving,
    )


def _name(item: Answer) -> str:
    """Find the container's own name: ``/web-1``, among aliases that links give it, ``/other/web``."""
    names = item.get("Names")
    found = [name.removeprefix("/") for name in map(plain, names if isinstance(names, list) else ())]
    return min((name for name in found if name), key=lambda name: (name.count("/"), name), default="")


def _status(item: Answer) -> tuple[ContainerStatus, str | None]:
    state = plain(item.get("State"))
    try:
        return ContainerStatus(state), None
    except ValueError:
        return ContainerStatus.RUNNING, f"Docker says it is {state or 'in no state'}, which netshare does not know"


def _health(item: Answer) -> Health:
    """Read the ``Health`` field of newer engines, else the end of the status text: ``Up 2 minutes (healthy)``."""
    said = mapping(item.get("Health")).get("Status")
    if isinstance(said, str) and said in set(Health):
        return Health(said)
    text = plain(item.get("Status"))
    for ending, health in (
        ("(healthy)", Health.HEALTHY),
        ("(unhealthy)", Health.UNHEALTHY),
        ("(health: starting)", Health.STARTING),
    ):
        if text.endswith(ending):
            return health
    return Health.NONE


def _mode_obstacle(item: Answer) -> str | None:
    mode = plain(mapping(item.get("HostConfig")).get("NetworkMode"))
    kind, colon, other = mode.partition(":")
    if kind == "container" and colon:
        return f"it shares the network of container {other[:12]} (--network container:…): start it on a bridge network"
    return _NO_MODE.get(mode)


def _attachments(item: Answer, known: Mapping[str, Network]) -> tuple[Attachment, ...]:
    attached = mapping(mapping(item.get("NetworkSettings")).get("Networks"))
    return tuple(_attachment(plain(name), mapping(attached[name]), known) for name in sorted(attached))


def _attachment(name: str, endpoint: Answer, known: Mapping[str, Network]) -> Attachment:
    identity = plain(endpoint.get("NetworkID"))
    network = known.get(identity)
    found = addresses(endpoint, ipv6=network is None or network.ipv6)
    if network is None:
        # Containers that never ran have no network id; those that run are on a network that was listed.
        return Attachment(name, found, f"Docker does not list its network {name}" if found else None)
    return Attachment(name, found, network.obstacle)


def _ports(item: Answer) -> tuple[frozenset[tuple[int, Protocol]], tuple[PublishedPort, ...]]:
    """Read the ports: every ``PrivatePort`` is exposed, those with a ``PublicPort`` are published as well."""
    exposed: set[tuple[int, Protocol]] = set()
    published: set[PublishedPort] = set()
    for entry in items(item.get("Ports")):
        transport = protocol(entry.get("Type"))
        if transport is None:
            continue
        if (private := port(entry.get("PrivatePort"))) is not None:
            exposed.add((private, transport))
        if (public := port(entry.get("PublicPort"))) is not None:
            published.add(PublishedPort(public, transport, host_address(entry.get("IP"))))
    return frozenset(exposed), tuple(sorted(published, key=lambda p: (p.port, p.protocol, str(p.address))))

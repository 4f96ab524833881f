"""What Podman's answers mean: JSON of its APIs in, containers out. Pure, and forgiving.

No one answer tells enough (seen with 4.3, read in the sources of 5.8 and 6.0), so three are put together:

- libpod's listing has the state in Podman's own words ("stopping" is only there: the compatible API of 6.0 calls it
  running), health, pods, published ports; no addresses, and on 4.x no exposed ports.
- The compatible API's listing has the addresses. Its ``NetworkID`` is the network's name on 4.x and its id on 5.x, and
  its default network has two names, so networks are known by the key they stand under. Containers of a pod have
  the addresses of the pod's infra container here, those on no network may have one called "host" or "none" without any.
- libpod's inspection of a container, once in its life, has the network mode and the exposed ports.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from netshare.core.model import Attachment, Container, ContainerStatus, Health, IPAddress, Protocol, PublishedPort
from netshare.engine.answers import (
    Answer,
    addresses,
    host_address,
    items,
    labels,
    mapping,
    plain,
    port,
    protocol,
    time_ns,
)

ENGINE = "podman"
ROOTLESS = "Podman runs rootless: its networks are in a namespace of their own, which the host's kernel cannot reach"

_STOPPING = "stopping"
_MOST_PORTS = 3 << 16
"""As many as there are, of three protocols; what lists more says some twice, or is no Podman."""
_STATES: Mapping[str, ContainerStatus] = MappingProxyType(
    {
        "configured": ContainerStatus.CREATED,
        "created": ContainerStatus.CREATED,
        "initialized": ContainerStatus.CREATED,
        "running": ContainerStatus.RUNNING,
        _STOPPING: ContainerStatus.RUNNING,
        "paused": ContainerStatus.PAUSED,
        "restarting": ContainerStatus.RESTARTING,
        "stopped": ContainerStatus.EXITED,
        "exited": ContainerStatus.EXITED,
        "removing": ContainerStatus.REMOVING,
    }
)
_NO_MODE: Mapping[str, str] = MappingProxyType(
    {
        "host": "it uses the host's network (--network host): start it on a bridge network",
        "none": "it has no network (--network none): start it on a bridge network",
        "slirp4netns": "its network is a process's (--network slirp4netns): start it on a bridge network",
        "pasta": "its network is a process's (--network pasta): start it on a bridge network",
        "ns": "it joins a network namespace that Podman did not make (--network ns:…): start it on a bridge network",
    }
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What never changes in a container's life, and only an inspection tells."""

    mode: str = ""
    exposed: frozenset[tuple[int, Protocol]] = frozenset()


def is_rootless(info: object) -> bool:
    """Whether ``GET /info`` is the answer of a rootless Podman."""
    return mapping(info).get("Rootless") is True


def system_time_ns(info: object) -> int:
    """Read Podman's clock from ``GET /info``; 0 where it does not say."""
    return time_ns(mapping(info).get("SystemTime"))


def storage(info: object) -> Path | None:
    """Find in libpod's ``info`` where Podman keeps everything."""
    found = mapping(mapping(info).get("store")).get("graphRoot")
    return Path(found) if isinstance(found, str) and found.startswith("/") and "\0" not in found else None


def ids(listing: object) -> Iterator[str]:
    """Name the containers of libpod's listing."""
    return (identity for item in items(listing) if (identity := plain(item.get("Id"))))


def facts(inspection: object) -> Facts:
    """Read libpod's inspection of a container."""
    found = mapping(inspection)
    ports = mapping(mapping(found.get("NetworkSettings")).get("Ports"))
    declared = mapping(mapping(found.get("Config")).get("ExposedPorts"))  # from 5.x on
    exposed = {read for key in (*ports, *declared) if (read := _exposed(key)) is not None}
    return Facts(plain(mapping(found.get("HostConfig")).get("NetworkMode")), frozenset(exposed))


def obstacles(networks: object) -> dict[str, str | None]:
    """Read libpod's networks: why DNAT can't reach into each, by its name."""
    return {name: _network_obstacle(name, item) for item in items(networks) if (name := plain(item.get("name")))}


def _network_obstacle(name: str, item: Answer) -> str | None:
    driver = plain(item.get("driver"))
    if driver != "bridge":
        return f"network {name} is of driver {driver or 'unknown'}; only bridge networks can be reached"
    if item.get("internal") is True:
        return f"network {name} is internal: nothing outside may reach it"
    return None


def containers(
    listing: object,
    compatible: object,
    networks: Mapping[str, str | None],
    known: Mapping[str, Facts],
    *,
    rootless: bool = False,
) -> tuple[Container, ...]:
    """Put the listings of both APIs together; those that are not ``known`` are gone since they were listed."""
    attached = {plain(item.get("Id")): _attachments(item, networks) for item in items(compatible)}
    infra = {plain(item.get("Id")) for item in items(listing) if item.get("IsInfra") is True}
    return tuple(
        _container(item, known[identity], attached.get(identity, ()), infra, rootless=rootless)
        for item in items(listing)
        if (identity := plain(item.get("Id"))) in known
    )


def _container(
    item: Answer, facts: Facts, attachments: tuple[Attachment, ...], infra: set[str], *, rootless: bool
) -> Container:
    identity, state = plain(item.get("Id")), plain(item.get("State"))
    published = tuple(
        sorted(islice(_published(item), _MOST_PORTS), key=lambda each: (each.port, each.protocol, str(each.address)))
    )
    strange = None if state in _STATES else f"Podman says it is {state or 'in no state'}, which netshare does not know"
    is_member = facts.mode.removeprefix("container:") in infra
    return Container(
        id=identity,
        name=_name(item) or identity[:12],
        engine=ENGINE,
        status=_STATES.get(state, ContainerStatus.RUNNING),
        health=_health(item),
        labels=labels(item.get("Labels")),
        attachments=attachments,
        exposed=facts.exposed,
        # A pod's ports are its infra container's, and listed with each of its members again.
        published=() if is_member else published,
        obstacle=(ROOTLESS if rootless else None) or _obstacle(item, facts, is_member=is_member) or strange,
        leaving=state == _STOPPING,
    )


def _name(item: Answer) -> str:
    names = item.get("Names")
    return next(filter(None, map(plain, names if isinstance(names, list) else ())), "")


def _health(item: Answer) -> Health:
    """Read health: empty where there is no check, and "stopped" or "reset" on 5.x where it says nothing."""
    said = plain(item.get("Status"))
    return Health(said) if said in set(Health) else Health.NONE


def _obstacle(item: Answer, facts: Facts, *, is_member: bool) -> str | None:
    """Say why a container can't be a replica; one of a pod is reached at the address of the pod."""
    if item.get("IsInfra") is True:
        pod = plain(item.get("PodName")) or "its pod"
        return f"it only holds the network of pod {pod}: name or label the containers in the pod"
    kind, _, other = facts.mode.partition(":")
    if kind == "container" and not is_member:
        return f"it shares the network of container {other[:12]} (--network container:…): start it on a bridge network"
    return _NO_MODE.get(kind)


def _attachments(item: Answer, networks: Mapping[str, str | None]) -> tuple[Attachment, ...]:
    attached = mapping(mapping(item.get("NetworkSettings")).get("Networks"))
    return tuple(_attachment(plain(name), addresses(mapping(attached[name])), networks) for name in sorted(attached))


def _attachment(name: str, found: tuple[IPAddress, ...], networks: Mapping[str, str | None]) -> Attachment:
    if name in networks:
        return Attachment(name, found, networks[name])
    return Attachment(name, found, f"Podman does not list its network {name}" if found else None)


def _exposed(key: str) -> tuple[int, Protocol] | None:
    """Read ``8080/tcp``."""
    number, _, name = key.partition("/")
    # Looked at as text first: int() reads more than digits, and refuses very long numbers.
    found = port(int(number)) if number.isascii() and number.isdecimal() and len(number) < len("100000") else None
    transport = protocol(name)
    return None if found is None or transport is None else (found, transport)


def _published(item: Answer) -> Iterator[PublishedPort]:
    """Read the ports that Podman forwards: each may be a range, and of several protocols (``tcp,udp``)."""
    for entry in items(item.get("Ports")):
        first, count = port(entry.get("host_port")), port(entry.get("range")) or 1
        for transport in set(map(protocol, plain(entry.get("protocol")).split(","))):
            for number in range(first, first + count) if first is not None else ():
                if transport is not None and port(number) is not None:
                    yield PublishedPort(number, transport, host_address(entry.get("host_ip")))

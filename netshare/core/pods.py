"""Pods: replicas that share one network namespace, a sandbox's, whose ports the engine itself publishes. Pure.

All of them listen on one port, each by a socket of its own with SO_REUSEPORT, and the kernel spreads new connections
over those sockets. So netshare programs nothing here. What there is, the containers' own labels tell: no definition is
kept anywhere else.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import count, islice

from netshare.core import labels, parse
from netshare.core.model import ContainerStatus, IPAddress, Protocol
from netshare.core.parse import shown
from netshare.errors import UsageError

MOST_REPLICAS = 100
"""How many replicas one command may add: each is a container that is started at once."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,50}")
_PUBLISHED = re.compile(r"(?:(?:\[([^\[\]]*)\]|([^:\[\]]*)):)?([^:\[\]/]*):([^:\[\]]*)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LONGEST = 4096


class Role(StrEnum):
    """What a container is in its pod."""

    SANDBOX = "sandbox"
    REPLICA = "replica"


@dataclass(frozen=True, slots=True)
class Published:
    """A port of the host that the engine leads to a port of the sandbox; ``address`` `None` is every local one."""

    port: int
    to: int
    protocol: Protocol = Protocol.TCP
    address: IPAddress | None = None

    def __str__(self) -> str:
        """``80:8080/tcp``, as it is written for ``--publish``."""
        host = "" if self.address is None else f"[{self.address}]:" if ":" in str(self.address) else f"{self.address}:"
        return f"{host}{self.port}:{self.to}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Member:
    """A container of a pod; ``published`` are a sandbox's ports, ``detail`` is its state in the engine's own words."""

    id: str
    name: str
    pod: str
    role: Role
    status: ContainerStatus
    image: str = ""
    published: tuple[Published, ...] = ()
    detail: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self.status is ContainerStatus.RUNNING


@dataclass(frozen=True, slots=True)
class Pod:
    """A sandbox and its replicas, in order of numbers; without a sandbox it is what another hand has left of a pod."""

    name: str
    engine: str
    sandbox: Member | None
    replicas: tuple[Member, ...]


def sandbox_name(pod: str) -> str:
    """Name a pod's sandbox."""
    return f"{pod}-pod"


def replica_names(pod: str, taken: Iterable[str], number: int) -> tuple[str, ...]:
    """Name new replicas: with the lowest numbers that are free."""
    used = set(taken)
    free = (name for each in count(1) if (name := f"{pod}-{each}") not in used)
    return tuple(islice(free, number))


def labels_of(pod: str, role: Role, published: Iterable[Published] = ()) -> dict[str, str]:
    """Give the labels that make a container a member of a pod."""
    made = {labels.POD: pod, labels.POD_ROLE: role.value}
    return made | ({labels.POD_PORTS: ",".join(map(str, published))} if role is Role.SANDBOX else {})


def member(
    identity: str, name: str, said: Mapping[str, str], status: ContainerStatus, image: str = "", detail: str = ""
) -> Member | None:
    """Make a member of a container that its labels say is one; nothing where they make no sense."""
    try:
        pod, role = pod_name(said.get(labels.POD, "")), Role(said.get(labels.POD_ROLE, ""))
        words = [word for word in said.get(labels.POD_PORTS, "").split(",") if word]
        ports = tuple(map(published, words))
    except (ValueError, UsageError):
        return None
    if role is Role.SANDBOX and name != sandbox_name(pod):
        return None
    return Member(identity, name, pod, role, status, image, ports, detail)


def pods(engine: str, members: Iterable[Member]) -> tuple[Pod, ...]:
    """Put containers together to pods, in order of names."""
    by_pod: dict[str, list[Member]] = {}
    for each in members:
        by_pod.setdefault(each.pod, []).append(each)
    return tuple(_pod(name, engine, by_pod[name]) for name in sorted(by_pod))


def pod_name(word: str) -> str:
    """Check a pod's name: its containers' names begin with it."""
    if _NAME.fullmatch(word):
        return word
    raise UsageError(
        f"{shown(word)} is not a pod's name",
        hint="a name is 1 to 51 letters, digits, '_', '.' or '-', the first a letter or digit",
    )


def published(word: str) -> Published:
    """Read ``PORT:TO``, ``PORT:TO/PROTOCOL`` or ``ADDR:PORT:TO``."""
    found = _PUBLISHED.fullmatch(word)
    if found is None:
        raise UsageError(
            f"--publish {shown(word)} is not PORT:PORT",
            hint="write the host's port and the replicas' own, as in 80:8080, 53:5353/udp or 127.0.0.1:80:8080",
        )
    to, protocol = parse.port_and_protocol(found.group(4))
    address = next((part for part in found.groups()[:2] if part is not None), None)
    return Published(
        parse.port_number(found.group(3)),
        to,
        protocol,
        None if address is None else parse.listen_address(address, "--publish"),
    )


def image_name(word: str) -> str:
    """Check the name of an image as far as it can't be mistaken for anything else; the engine knows the rest."""
    if word.isprintable() and " " not in word and 0 < len(word) <= _LONGEST and not word.startswith("-"):
        return word
    raise UsageError(f"{shown(word)} is not an image's name", hint="`docker image ls` lists those that are here")


def environment(word: str) -> tuple[str, str]:
    """Read ``KEY=VALUE``."""
    key, equals, value = word.partition("=")
    if equals and _VARIABLE.fullmatch(key) and "\0" not in value and len(word) <= _LONGEST:
        return key, value
    raise UsageError(f"--env {shown(word)} is not KEY=VALUE", hint="write it as in --env MODE=production")


def number_of_replicas(word: str) -> int:
    """Read how many replicas to add."""
    if re.fullmatch(r"[0-9]{1,3}", word) and 1 <= int(word) <= MOST_REPLICAS:
        return int(word)
    raise UsageError(f"--count {shown(word)} is not a number of replicas", hint=f"write 1 to {MOST_REPLICAS}")


def _pod(name: str, engine: str, members: Iterable[Member]) -> Pod:
    sandbox, replicas = None, []
    for each in members:
        if each.role is Role.SANDBOX:
            sandbox = each
        else:
            replicas.append(each)
    return Pod(name, engine, sandbox, tuple(sorted(replicas, key=_order)))


def _order(replica: Member) -> tuple[int, str]:
    digits = replica.name.removeprefix(f"{replica.pod}-")
    return (int(digits) if re.fullmatch(r"[0-9]{1,9}", digits) else 0, replica.name)

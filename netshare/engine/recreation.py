"""How a container is made again from its own configuration: what was asked for when it was made, and nothing else.

Pure. An engine's inspection has a container's and its image's wishes mixed together. What is the image's own (its
variables, labels, command, health check, …) is left out, or the new image's would never be seen. `HostConfig` goes back
as it came: it is what the caller of the API once sent, completed by defaults that mean the same again.

Two containers from one configuration have to run side by side, so whatever only one can have is refused, in words.
Anonymous volumes are not handed on for that reason: each replica has its own, empty at first, as with ``docker run``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from netshare.engine.answers import Answer, items, mapping, plain
from netshare.engine.docker_events import signal_number
from netshare.errors import NetshareError

_SHORT_ID = 12
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_IMAGE_MAPS = ("Labels", "ExposedPorts", "Volumes")
_IMAGE_VALUES = ("WorkingDir", "User", "StopSignal")
_IMAGE_ONLY = ("OnBuild", "Shell")
_STOP_SECONDS = 10
_PRIVATE = ("PidMode", "UTSMode")

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is sent to make a container, and the networks it is then put on, each with its settings.

    Docker before 25 takes one network when a container is made (API 1.44): the others follow before it is started.
    """

    body: Body
    networks: tuple[tuple[str, Body], ...]


def recipe(inspected: Answer, old_image: Answer, image: str, *, podman: bool = False) -> Recipe:
    """Tell how to make a container like this one from another image, or a newer one of the same name.

    Raises:
        NetshareError: two such containers can't run side by side.

    """
    name = plain(inspected.get("Name")).removeprefix("/")
    for obstacle in _obstacles(inspected):
        raise NetshareError(
            f"replica {name} can't have a second one beside it: it has {obstacle[0]}",
            hint=f"{obstacle[1]}; then roll out again",
        )
    asked = _podman_said(inspected) if podman else inspected
    own = dict(mapping(asked.get("Config")))
    host = dict(mapping(asked.get("HostConfig")))
    given = mapping(old_image.get("Config"))
    config = _without_image(own, given, completed=podman) | {"Image": image}
    if own.get("Hostname") == plain(inspected.get("Id"))[:_SHORT_ID]:
        config.pop("Hostname", None)
    config.pop("MacAddress", None)  # an empty one, or it would have been refused
    first, *others = _networks(inspected, host) or [("", {})]
    host["Links"] = [_link(link) for link in host.get("Links") or []]
    host["ContainerIDFile"] = ""
    networking = {"EndpointsConfig": {first[0]: first[1]}} if first[1] else {}
    return Recipe(config | {"HostConfig": host, "NetworkingConfig": networking}, tuple(others))


def image_of(inspected: Answer) -> str:
    """Name the image that a container was made from, by the words that were used."""
    return plain(mapping(inspected.get("Config")).get("Image"))


def stop_seconds(inspected: Answer) -> int:
    """Say how long a container may take to stop before it is killed."""
    given = mapping(inspected.get("Config")).get("StopTimeout")
    return given if type(given) is int and given > 0 else _STOP_SECONDS


def _obstacles(inspected: Answer) -> Iterator[tuple[str, str]]:
    """Find what only one container can have, each with its mend."""
    host = mapping(inspected.get("HostConfig"))
    for port, bindings in mapping(host.get("PortBindings")).items():
        for binding in items(bindings):
            if plain(binding.get("HostPort")) not in ("", "0"):
                yield (
                    f"port {plain(binding.get('HostPort'))} of the host published for {plain(port)}",
                    "start it without -p: netshare puts it behind the port itself",
                )
    for network, settings in mapping(mapping(inspected.get("NetworkSettings")).get("Networks")).items():
        fixed = mapping(mapping(settings).get("IPAMConfig"))
        for key in ("IPv4Address", "IPv6Address"):
            if address := plain(fixed.get(key)):
                yield f"the fixed address {address} on network {plain(network)}", "start it without --ip and --ip6"
    if address := plain(mapping(inspected.get("Config")).get("MacAddress")):
        yield f"the fixed hardware address {address}", "start it without --mac-address"


def _without_image(own: Answer, given: Answer, *, completed: bool) -> Body:
    """Leave out of a container's configuration what it has from its image.

    ``completed``: what a health check does not say is there all the same, by default.
    """
    config = {key: value for key, value in own.items() if key not in _IMAGE_ONLY}
    inherited = set(given.get("Env") or ())
    config["Env"] = [each for each in own.get("Env") or () if each not in inherited]
    for key in _IMAGE_MAPS:
        theirs = mapping(given.get(key))
        missing = object()
        config[key] = {
            name: value for name, value in mapping(own.get(key)).items() if theirs.get(name, missing) != value
        }
    for key in _IMAGE_VALUES:
        if _same(key, own.get(key), given.get(key)):
            config.pop(key, None)
    if _words(own, "Entrypoint") == _words(given, "Entrypoint"):
        config.pop("Entrypoint", None)
        if _words(own, "Cmd") == _words(given, "Cmd"):
            config.pop("Cmd", None)
    # Else the command is kept even where it is the image's: an entry point of one's own takes the image's away.
    check = {
        key: value
        for key, value in mapping(own.get("Healthcheck")).items()
        if mapping(given.get("Healthcheck")).get(key) != value
    }
    config.pop("Healthcheck", None)
    if "Test" not in check and completed:
        check = {}
    return config | ({"Healthcheck": check} if check else {})


def _same(key: str, own: object, given: object) -> bool:
    if key == "StopSignal":  # Podman writes a number, and writes it where nobody asked
        return signal_number(own or "SIGTERM") == signal_number(given or "SIGTERM")
    return (own or "") == (given or "")


def _words(config: Answer, key: str) -> list[object]:
    return list(config.get(key) or ())


def _networks(inspected: Answer, host: Answer) -> list[tuple[str, Body]]:
    """List the networks, the one of its network mode first; the default bridge has no settings."""
    identity, mode = plain(inspected.get("Id")), plain(host.get("NetworkMode"))
    attached = mapping(mapping(inspected.get("NetworkSettings")).get("Networks"))
    found: list[tuple[str, Body]] = []
    for name in sorted(attached, key=lambda name: (name != mode, name)):
        settings = mapping(attached[name])
        aliases = [alias for alias in settings.get("Aliases") or () if alias != identity[:_SHORT_ID]]
        kept: Mapping[str, object] = {
            "Aliases": aliases,
            "Links": [_link(link) for link in settings.get("Links") or ()],
            "DriverOpts": settings.get("DriverOpts"),
            "GwPriority": settings.get("GwPriority"),
        }
        found.append((name, {key: value for key, value in kept.items() if value}))
    return found


def _link(link: object) -> str:
    """Write a link as it was asked for: an inspection says ``/db:/web-1/database`` of ``db:database``."""
    other, _, alias = plain(link).removeprefix("/").partition(":")
    return f"{other}:{alias.rpartition('/')[2]}"


def _podman_said(inspected: Answer) -> Answer:
    """Turn into Docker's words what Podman 4 says by Docker's API in words of its own, and does not take back."""
    identity = plain(inspected.get("Id"))
    config, host = dict(mapping(inspected.get("Config"))), dict(mapping(inspected.get("HostConfig")))
    made_up = {
        f"HOSTNAME={config.get('Hostname')}",
        "container=podman",
        "container=oci",
        "TERM=xterm",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    config["Env"] = [each for each in config.get("Env") or () if each not in made_up]
    binds = [plain(bind) for bind in host.get("Binds") or ()]
    host["Binds"] = [bind for bind in binds if not _ANONYMOUS.fullmatch(bind.partition(":")[0])]
    anonymous = [bind.split(":")[1] for bind in binds if _ANONYMOUS.fullmatch(bind.partition(":")[0])]
    config["Volumes"] = {path: {} for path in anonymous}
    # Without one, Podman kills at once what was made by this API (seen with 4.3).
    config["StopTimeout"] = config.get("StopTimeout") or _STOP_SECONDS
    host["Ulimits"] = [
        {**limit, "Name": plain(limit.get("Name")).removeprefix("RLIMIT_").lower()}
        for limit in items(host.get("Ulimits"))
    ]
    for key in _PRIVATE:
        if host.get(key) == "private":
            host[key] = ""
    host.pop("Runtime", None)  # it says "oci", whichever it is
    if not host.get("MemorySwappiness"):
        host["MemorySwappiness"] = None  # 0 is said where nobody asked
    if host.get("NanoCpus"):  # it is said in both ways, and taken in one
        host["CpuPeriod"] = host["CpuQuota"] = 0
    return {**inspected, "Id": identity, "Config": config, "HostConfig": host}

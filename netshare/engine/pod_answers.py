"""What an engine's answers mean where pods are made: containers that are members, and refusals. Pure."""

import re
from typing import TYPE_CHECKING, Any

from netshare.core import pods
from netshare.core.model import ContainerStatus
from netshare.core.pods import Member, Published
from netshare.engine.answers import Answer, labels, plain
from netshare.errors import NetshareError, PortConflictError

if TYPE_CHECKING:
    import docker.errors

_TAKEN = re.compile(r"already (?:allocated|in use)")
_NO_PROGRAM = re.compile(r"executable file|exec .*no such file", re.IGNORECASE)


def member(item: Answer) -> Member | None:
    """Read a container of the listing that is a pod's."""
    names = item.get("Names")
    name = plain(names[0]).removeprefix("/") if isinstance(names, list) and names else ""
    state = plain(item.get("State")).lower()
    status = ContainerStatus(state) if state in set(ContainerStatus) else ContainerStatus.DEAD
    identity, image, detail = (plain(item.get(key)) for key in ("Id", "Image", "Status"))
    return pods.member(identity, name, labels(item.get("Labels")), status, image, detail) if identity else None


def bindings(published: tuple[Published, ...]) -> dict[int | str, Any]:
    """Write published ports as the SDK takes them: by the container's port, those of the host."""
    found: dict[int | str, Any] = {}
    for each in published:
        host = each.port if each.address is None else (str(each.address), each.port)
        found.setdefault(f"{each.to}/{each.protocol}", []).append(host)
    return found


def version(release: str) -> tuple[int, int]:
    """Read a kernel's version: ``5.14.0-427.el9`` is 5.14; anything else is older than all."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})", release, re.ASCII)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def api_error() -> "type[docker.errors.APIError]":
    """Give the class of an engine's refusals; the SDK is loaded by then."""
    import docker.errors

    return docker.errors.APIError


def said(error: "docker.errors.APIError") -> str:
    """Give an engine's own words, in one line."""
    return plain(" ".join(str(error.explanation or error).split()))


def not_started(name: str, published: tuple[Published, ...], words: str) -> NetshareError:
    """Tell why a container did not start: its port is somebody's, its image has no such program, or what was said."""
    if published and _TAKEN.search(words):
        named = [each for each in published if re.search(rf":{each.port}\b", words)] or list(published)
        ports = " or ".join(f"{each.port}/{each.protocol}" for each in named)
        return PortConflictError(
            f"{ports} is taken already: {words}",
            hint="stop whoever has it (`ss -ltnup` and the engine's `ps` tell), or publish another port",
        )
    if _NO_PROGRAM.search(words):
        return NetshareError(
            f"{name} can't be started: {words}",
            hint="its image has no such program; for a sandbox leave --image out: netshare brings one",
        )
    return NetshareError(f"{name} can't be started: {words}", hint="the engine's own log may tell more")

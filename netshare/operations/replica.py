"""A service's replicas, and which of them is meant by a word: a container's name, or an id prefix that is unique."""

from collections.abc import Sequence
from difflib import get_close_matches

from netshare.core.model import Replica, Service
from netshare.core.parse import shown
from netshare.core.selection import STATIC_ENGINE
from netshare.engine.silence import as_one
from netshare.errors import EngineUnreachableError, NotFoundError
from netshare.host import Host
from netshare.operations.detach import not_found
from netshare.reconcile import Prepared, prepare
from netshare.store.protocol import Definitions


def named(word: str, service: str, replicas: Sequence[Replica]) -> Replica:
    """Find a service's replica; a name goes before an id. A static one has its address for a name, and no id.

    Raises:
        NotFoundError: there is none, or several are meant.

    """
    for replica in replicas:
        if replica.name == word:
            return replica
    found = [replica for replica in replicas if replica.engine != STATIC_ENGINE and replica.id.startswith(word)]
    match found:
        case [one]:
            return one
        case []:
            raise _not_found(word, service, replicas)
    named = ", ".join(sorted(f"{replica.name} ({replica.id[: len(word) + 4]}…)" for replica in found))
    raise NotFoundError(
        f"several replicas of {service} have an id that begins with {word}", hint=f"say more of it, or a name: {named}"
    )


def _not_found(word: str, service: str, replicas: Sequence[Replica]) -> NotFoundError:
    names = sorted({replica.name for replica in replicas})
    near = get_close_matches(word, names, n=3)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return NotFoundError(
        f"{service} has no replica {shown(word)}", hint=f"{meant}`netshare status {service}` shows its replicas"
    )


def judged(host: Host, definitions: Definitions, name: str) -> tuple[Service, Sequence[Replica]]:
    """Give a service and its replicas as its engines tell of them.

    Raises:
        NotFoundError: there is no such service.
        EngineUnreachableError: the engine does not tell which replicas there are.

    """
    return judged_of(prepare(host, definitions), definitions, name)


def judged_of(prepared: Prepared, definitions: Definitions, name: str) -> tuple[Service, Sequence[Replica]]:
    """Give a service and its replicas as a reconcile has found them; see `judged`."""
    for item in prepared.services:
        if item.service.name == name:
            return item.service, item.replicas
    unknown = [service for service in (*definitions.services, *prepared.labelled) if service.name == name]
    if unknown and name in prepared.stuck:
        raise prepared.stuck[name]
    if unknown:
        raise as_one([problem for problem in prepared.problems if isinstance(problem, EngineUnreachableError)])
    raise not_found(name, definitions, prepared.labelled)

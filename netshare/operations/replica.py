"""Which replica is meant by a word of the command line: a container's name, or an id prefix that is unique."""

from collections.abc import Sequence
from difflib import get_close_matches

from netshare.core.model import Replica
from netshare.core.parse import shown
from netshare.core.selection import STATIC_ENGINE
from netshare.errors import NotFoundError


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

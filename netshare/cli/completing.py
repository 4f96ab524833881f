"""What a shell is told when somebody presses Tab: names, and words of which there are a few.

It has to be there at once: neither an engine nor the kernel is asked, and nothing is imported that a list of names does
not need. Names go to a shell, and some shells evaluate what they are told: those with any other sign are left out.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from urllib.parse import unquote

import typer

from netshare.runtime import paths
from netshare.runtime.names import Names

VARIABLE = "_NETSHARE_COMPLETE"
"""What the shell sets when it asks (typer names it after the program)."""

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:@-]*|\[[0-9a-f:.]+\](?::[0-9]+)?")
_SUFFIX = ".json"


def words_so_far() -> Sequence[str]:
    """Give the words of the command line that the shell asks about, without the program's name."""
    return (os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or "").split()[1:]


def one_of(*words: str) -> Callable[[str], list[str]]:
    """Complete one of these words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def services(incomplete: str) -> list[str]:
    """Complete a service's name: of those attached, and of those that labels have made."""
    return _matching({*_attached(), *_known()}, incomplete)


def replicas(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a replica of the service that was named before."""
    name = context.params.get("name") or _first_argument()
    return _matching(_known().get(str(name), ()), incomplete)


def weights(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a replica's name where its weight follows."""
    return [f"{name}=" for name in replicas(context, incomplete)]


def _first_argument() -> str | None:
    """Guess what comes behind the verb, where typer gives up: an option that still lacks its value."""
    arguments = [word for word in words_so_far() if not word.startswith("-")]
    return arguments[1] if len(arguments) > 1 else None


def _known() -> dict[str, list[str]]:
    return Names(paths.names_path(paths.runtime_dir())).read()


def _attached() -> Iterator[str]:
    try:
        names = os.listdir(paths.services_dir(paths.state_dir()))  # noqa: PTH208 (names, not paths, are wanted)
    except OSError:
        return
    yield from (unquote(name.removesuffix(_SUFFIX)) for name in names if name.endswith(_SUFFIX))


def _matching(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete) and _SAFE.fullmatch(name))

"""The file of services that a verb is given: from a path, or from stdin."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from netshare.core.model import Service
from netshare.errors import DefinitionError

File = Annotated[
    str, typer.Option("--file", "-f", metavar="FILE", help="The services, in YAML or JSON; - reads them from stdin.")
]
Prune = Annotated[bool, typer.Option("--prune", help="Remove every attached service that the file does not name.")]

_STDIN = "-"


def services(file: str) -> tuple[Service, ...]:
    """Read the services of a file.

    Raises:
        DefinitionError: it can't be read, or is not such a file.

    """
    from netshare.store import document, services_file

    name = "stdin" if file == _STDIN else file
    try:
        with nullcontext(sys.stdin.buffer) if file == _STDIN else Path(file).open("rb") as stream:
            content = stream.read(document.LARGEST + 1)
    except OSError as error:
        raise DefinitionError(
            f"{name} can't be read: {error.strerror}", hint="-f FILE names it, -f - is stdin"
        ) from error
    return services_file.decode(content, name)

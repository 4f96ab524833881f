"""The file of services that a verb is given: from a path, or from stdin."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from netshare.core.model import Service

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
    from netshare.store import services_file
    from netshare.store.document import LARGEST

    if file == _STDIN:
        return services_file.decode(sys.stdin.buffer.read(LARGEST + 1), "stdin")
    return services_file.load(Path(file))

"""The words that several verbs share."""

from typing import Annotated

import typer

from netshare.cli import completing
from netshare.cli.output import Format

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The service; its replicas are found by this name.",
        autocompletion=completing.services,
    ),
]
ReplicaName = Annotated[
    str,
    typer.Argument(metavar="REPLICA", help="Its name, or the beginning of its id.", autocompletion=completing.replicas),
]
Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the result.")]
OneName = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        show_default=False,
        help="One service. Default: all of them.",
        autocompletion=completing.services,
    ),
]
Interval = Annotated[str | None, typer.Option(metavar="TIME", show_default=False, help="How often to look: 1s.")]

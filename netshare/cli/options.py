"""The words that several verbs share."""

from typing import Annotated

import typer

from netshare.cli.output import Format

Name = Annotated[str, typer.Argument(metavar="NAME", help="The service; its replicas are found by this name.")]
ReplicaName = Annotated[str, typer.Argument(metavar="REPLICA", help="Its name, or the beginning of its id.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the result.")]

"""``netshare export``."""

from typing import Annotated

import typer

from netshare.cli import output
from netshare.cli.options import Output
from netshare.cli.problems import finish


def export(
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of such a file instead.")] = False,
    form: Output = output.Format.TABLE,
) -> None:
    """Print the services as a file that apply takes: YAML, or JSON."""
    from netshare import wiring
    from netshare.store import services_file

    if schema:
        output.text(services_file.published())
        return
    definitions = wiring.store().load()
    stored = sorted((*definitions.services, *definitions.adjusted), key=lambda service: service.name)
    if form is output.Format.JSON:
        output.document(services_file.plain(stored))
    else:
        output.text(services_file.encode(stored).decode())
    finish(tuple(definitions.unreadable.values()))

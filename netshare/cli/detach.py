"""``netshare detach``."""

from typing import Annotated

import typer

from netshare.cli import documents, output
from netshare.cli.options import Name, Output
from netshare.core import parse
from netshare.operations import detach as operation
from netshare.runtime.capabilities import require_net_admin


def detach(
    name: Name,
    port: Annotated[
        str | None,
        typer.Argument(metavar="PORT[/PROTO]", show_default=False, help="One of its ports. Default: all of them."),
    ] = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Remove one listener of a service, or all of it."""
    checked = parse.service_name(name)
    listener = None if port is None else parse.port_and_protocol(port)
    require_net_admin("detach")
    from netshare import wiring

    detached = operation.detach(wiring.host(), wiring.agent_control(), checked, listener)
    for warning in detached.warnings:
        output.note(f"warning: {warning}")
    if form is output.Format.JSON:
        output.document(documents.of_detached(detached))
        return
    left = f"; still on {', '.join(map(str, detached.left))}" if detached.left else ""
    output.line(f"{detached.name}: {', '.join(map(str, detached.removed))} detached{left}")

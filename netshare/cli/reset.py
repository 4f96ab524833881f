"""``netshare reset``."""

from typing import Annotated

import typer

from netshare.cli import documents, output
from netshare.cli.options import Output
from netshare.errors import NetshareError, UsageError
from netshare.operations import reset as operation
from netshare.runtime.capabilities import require_net_admin


def reset(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    form: Output = output.Format.TABLE,
) -> None:
    """Remove everything of netshare's from the kernel; definitions stay."""
    require_net_admin("reset")
    if not yes:
        _ask()
    from netshare import wiring

    operation.reset(wiring.host(), wiring.agent_control())
    if form is output.Format.JSON:
        output.document(documents.of_facts(reset=True))
    else:
        output.line("removed from the kernel; definitions stay: `netshare sync` puts everything back")


def _ask() -> None:
    answer = output.confirm("Stop serving every service on this host?")
    if answer is None:
        raise UsageError("reset asks before it acts, and there is no terminal to ask on", hint="add --yes")
    if not answer:
        raise NetshareError("nothing was changed", hint="answer y to go on")

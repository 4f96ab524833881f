"""``netshare doctor``."""

from typing import Annotated

import typer

from netshare.cli import documents, output
from netshare.cli.options import Output
from netshare.core import parse
from netshare.core.diagnosis import Verdict
from netshare.operations import doctor as operation
from netshare.operations.doctor import Diagnosis
from netshare.runtime.capabilities import has_net_admin, require_net_admin

_SIGNS = {Verdict.OK: "✓", Verdict.WARNING: "!", Verdict.FAILED: "✗"}


def doctor(
    trace: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="CLIENT PORT[/PROTO]", show_default=False, help="Follow an imagined packet instead."),
    ] = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Check what on this host stands in the way, each with its mend. Exits with 1 where something does."""
    found = _examined() if trace is None else _traced(*trace)
    if form is output.Format.JSON:
        output.document(documents.of_diagnosis(found))
    else:
        for check in found.checks:
            output.line(f"{_SIGNS[check.verdict]} {check.about}: {check.seen}")
            if check.mend:
                output.line(f"    {check.mend}")
    if not found.is_well:
        raise typer.Exit(1)


def _examined() -> Diagnosis:
    from netshare import wiring

    return operation.doctor(wiring.host(), wiring.agent_control(), wiring.examination(), is_permitted=has_net_admin())


def _traced(client: str, port: str) -> Diagnosis:
    address, wanted = parse.client_address(client), parse.port_and_protocol(port)
    require_net_admin("doctor --trace")
    from netshare import wiring
    from netshare.operations.trace import trace

    return trace(wiring.host(), address, *wanted)

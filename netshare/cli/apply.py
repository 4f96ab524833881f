"""``netshare apply``."""

from typing import Annotated

import typer

from netshare.cli import advice, documents, output
from netshare.cli.files import File, Prune, services
from netshare.cli.options import Output
from netshare.operations import apply as operation
from netshare.operations.apply import Applied, Kind, kind
from netshare.runtime.capabilities import require_net_admin


def apply(
    file: File,
    prune: Prune = False,
    force: Annotated[bool, typer.Option("--force", help="Take ports although something listens on them.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all of it; change nothing.")] = False,
    form: Output = output.Format.TABLE,
) -> None:
    """Bring the services to what a file says, all of them or none."""
    wanted = services(file)
    require_net_admin("apply")
    from netshare import wiring

    applied = operation.apply(
        wiring.host(), wiring.agent_control(), wiring.sockets(), wanted, prune=prune, force=force, is_dry=dry_run
    )
    for warning in applied.warnings:
        output.note(f"warning: {warning}")
    if form is output.Format.JSON:
        output.document(documents.of_applied(applied, is_dry=dry_run))
    else:
        _tell(applied, is_dry=dry_run)
    if applied.agent is not None and not applied.agent.is_running:
        for note in advice.without_agent([change.after for change in applied.changes if change.after is not None]):
            output.note(note)


def _tell(applied: Applied, *, is_dry: bool) -> None:
    for change in applied.changes:
        became = kind(change)
        would_be = "would be " if is_dry and became is not Kind.UNCHANGED else ""
        served = change.after or change.before
        listeners = f" ({', '.join(map(str, served.listeners))})" if served and served.listeners else ""
        output.line(f"{change.name}: {would_be}{became}{listeners}")
    if not applied.changes:
        output.line("the file names no service")

"""``netshare status``."""

from typing import Annotated

import typer

from netshare.cli import advice, documents, output, rows
from netshare.cli.options import Output
from netshare.cli.problems import finish
from netshare.core import parse
from netshare.errors import UsageError
from netshare.operations import status as operation
from netshare.runtime.capabilities import require_net_admin

_SHORTEST, _LONGEST = 0.1, 3600.0


def status(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", show_default=False, help="One service. Default: all of them."),
    ] = None,
    is_watching: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it live, with new connections a second, until Ctrl-C.")
    ] = False,
    interval: Annotated[
        str | None, typer.Option(metavar="TIME", show_default=False, help="How often to look with --watch: 1s.")
    ] = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Show the services with their replicas and connections."""
    checked = None if name is None else parse.service_name(name)
    seconds = _interval(interval, is_watching=is_watching)
    require_net_admin("status")
    from netshare import wiring

    if is_watching:
        from netshare.cli import live

        live.watch(wiring.watch(checked), seconds, form)
    found = operation.status(wiring.host(), wiring.agent_control(), wiring.connections(), checked)
    if form is output.Format.JSON:
        output.document(documents.of_status(found))
    elif found.services:
        output.table(rows.COLUMNS, [row for item in found.services for row in rows.rows(item)])
    elif not found.problems:
        output.note("nothing is attached; `netshare attach NAME PORT` attaches a service")
    if form is not output.Format.JSON and not found.agent.is_running:
        for note in advice.without_agent(item.service for item in found.services):
            output.note(note)
    if form is not output.Format.JSON:
        for message in (*found.obstacles, *found.notices):
            output.note(str(message))
    finish(found.problems)


def _interval(word: str | None, *, is_watching: bool) -> float:
    if word is None:
        return 1.0
    if not is_watching:
        raise UsageError("--interval goes with --watch", hint="netshare status --watch --interval 2s")
    seconds = parse.duration(word)
    if not _SHORTEST <= seconds <= _LONGEST:
        raise UsageError(f"{parse.shown(word)} is not an interval", hint="it is 100ms to 1h")
    return seconds

"""``netshare status``."""

from typing import Annotated

import typer

from netshare.cli import advice, documents, live, output, rows
from netshare.cli.options import Interval, OneName, Output
from netshare.cli.problems import finish
from netshare.core import parse
from netshare.errors import UsageError
from netshare.operations import status as operation
from netshare.runtime.capabilities import require_net_admin


def status(
    name: OneName = None,
    is_watching: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it live, with new connections a second, until Ctrl-C.")
    ] = False,
    interval: Interval = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Show the services with their replicas and connections."""
    checked = None if name is None else parse.service_name(name)
    if interval is not None and not is_watching:
        raise UsageError("--interval goes with --watch", hint="netshare status --watch --interval 2s")
    seconds = live.seconds(interval)
    require_net_admin("status")
    from netshare import wiring

    if is_watching:
        live.watch(wiring.watch(checked), seconds, form)
        return
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

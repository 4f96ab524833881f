"""``netshare status``."""

from collections.abc import Iterator
from typing import Annotated

import typer

from netshare.cli import advice, documents, output
from netshare.cli.options import Output
from netshare.cli.problems import finish
from netshare.core import parse
from netshare.core.model import Family
from netshare.operations import status as operation
from netshare.operations.status import ServiceStatus
from netshare.runtime.capabilities import require_net_admin

_COLUMNS = ("SERVICE", "LISTENERS", "REPLICA", "ENDPOINT", "STATE", "WEIGHT", "TOTAL", "ACTIVE", "REASON")


def status(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", show_default=False, help="One service. Default: all of them."),
    ] = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Show the services with their replicas and connections."""
    checked = None if name is None else parse.service_name(name)
    require_net_admin("status")
    from netshare import wiring

    found = operation.status(wiring.host(), wiring.agent_control(), wiring.connections(), checked)
    if form is output.Format.JSON:
        output.document(documents.of_status(found))
    elif found.services:
        output.table(_COLUMNS, [row for item in found.services for row in _rows(item)])
    elif not found.problems:
        output.note("nothing is attached; `netshare attach NAME PORT` attaches a service")
    if form is not output.Format.JSON and not found.agent.is_running:
        for note in advice.without_agent(item.service for item in found.services):
            output.note(note)
    if form is not output.Format.JSON:
        for message in (*found.obstacles, *found.notices):
            output.note(str(message))
    finish(found.problems)


def _rows(item: ServiceStatus) -> Iterator[tuple[str, ...]]:
    service, listeners = item.service.name, _listeners(item)
    if not item.replicas:
        yield service, listeners, "-", "-", "-", "-", "-", "-", "no replica: new connections are refused"
    for found in item.replicas:
        yield (
            service,
            listeners,
            found.replica.name,
            ", ".join(map(str, found.endpoints)) or "-",
            found.replica.state.value,
            str(found.replica.weight),
            str(found.connections_total),
            str(found.connections_active),
            found.replica.reason or "",
        )


def _listeners(item: ServiceStatus) -> str:
    """Name the listeners, and the only family they are served in where they listen in both."""
    listeners = item.service.listeners
    named = ", ".join(map(str, listeners))
    if len(item.families) == 1 and any(listener.address is None for listener in listeners):
        return f"{named} ({'IPv4' if item.families[0] is Family.IP else 'IPv6'} only)"
    return named

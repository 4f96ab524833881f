"""``netshare attach``."""

import time
from typing import Annotated

import typer

from netshare.cli import documents, output
from netshare.cli.options import Name, Output
from netshare.core import parse
from netshare.core.model import ReplicaState
from netshare.operations import attach as operation
from netshare.operations.attach import Attached
from netshare.operations.request import AttachRequest
from netshare.operations.status import status
from netshare.runtime.capabilities import require_net_admin

_NAMES_SHOWN = 3


def attach(
    name: Name,
    port: Annotated[str, typer.Argument(metavar="PORT[/PROTO]", help="The host's port; tcp by default, udp or sctp.")],
    to: Annotated[
        str | None,
        typer.Option(metavar="PORT", help="The replicas' own port. Default: the one they expose, else PORT."),
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDR", help="Listen on this address only (repeatable). Default: every local address."),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Pick replicas by label instead of by NAME (repeatable)."),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(metavar="NET", help="Which of a replica's networks to use."),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(metavar="ENGINE", help="docker or static. Default: whichever answers."),
    ] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(metavar="IP[:PORT]", help="A static replica, no engine needed (repeatable)."),
    ] = None,
    strategy: Annotated[str | None, typer.Option(metavar="STRATEGY", help="random (the default).")] = None,
    driver: Annotated[
        str | None,
        typer.Option(metavar="DRIVER", help="auto (the default) or nftables."),
    ] = None,
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="Wait until at least one replica takes traffic."),
    ] = True,
    timeout: Annotated[str, typer.Option(metavar="TIME", help="How long to wait at most, as in 30s or 2m.")] = "60s",
    force: Annotated[
        bool,
        typer.Option("--force", help="Take the port although something listens on it."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print what would be programmed; change nothing."),
    ] = False,
    form: Output = output.Format.TABLE,
) -> None:
    """Put the replicas of NAME behind a port of this host."""
    number, protocol = parse.port_and_protocol(port)
    request = AttachRequest(
        name=parse.service_name(name),
        port=number,
        protocol=protocol,
        to=None if to is None else parse.port_number(to),
        listen=tuple(map(parse.listen_address, listen or ())),
        select=tuple(map(parse.label_selector, select or ())),
        network=None if network is None else parse.network_name(network),
        engine=None if engine is None else parse.engine(engine),
        endpoints=tuple(map(parse.endpoint, endpoint or ())),
        strategy=None if strategy is None else parse.strategy(strategy),
        driver=None if driver is None else parse.driver(driver),
        force=force,
        wait=wait,
        timeout=parse.duration(timeout),
    )
    require_net_admin("attach")
    _run(request, form, is_dry=dry_run)


def _run(request: AttachRequest, form: output.Format, *, is_dry: bool) -> None:
    from netshare import wiring

    host, agent, sockets = wiring.host(), wiring.agent_control(), wiring.sockets()
    if is_dry:
        rules = operation.dry_run(host, sockets, request)
        if form is output.Format.JSON:
            output.document(documents.of_facts(dry_run=True, rules=rules))
        else:
            output.text(rules)
        return
    with output.ProgressLine() as progress:
        attached = operation.attach(host, agent, sockets, request, clock=time, progress=progress)
    for warning in attached.warnings:
        output.note(f"warning: {warning}")
    if form is output.Format.JSON:
        now = status(host, agent, wiring.connections(), request.name)
        output.document(documents.of_attached(attached, now))
    else:
        output.line(_summary(attached))
    if not attached.agent.is_running and not attached.service.is_static:
        output.note("no agent runs: replicas that come and go are followed only while `netshare agent` runs")


def _summary(attached: Attached) -> str:
    listeners = ", ".join(map(str, attached.listeners))
    ready = [replica.name for replica in attached.replicas if replica.state is ReplicaState.READY]
    if not ready:
        return f"{attached.service.name}: {listeners} -> no replica ready yet"
    named = ", ".join(ready[:_NAMES_SHOWN]) + (", …" if len(ready) > _NAMES_SHOWN else "")
    count = "1 replica" if len(ready) == 1 else f"{len(ready)} replicas"
    return f"{attached.service.name}: {listeners} -> {count} ready ({named})"

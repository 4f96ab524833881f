"""``netshare attach``."""

import time
from typing import Annotated

import typer

from netshare.cli import advice, completing, documents, output
from netshare.cli.options import Name, Output
from netshare.core import checks, parse
from netshare.core.model import AUTO, IPTABLES, NFTABLES, FailMode, ReplicaState, Strategy
from netshare.operations import attach as operation
from netshare.operations.answering import with_answers
from netshare.operations.attach import Attached
from netshare.operations.health_request import HealthRequest
from netshare.operations.request import AttachRequest
from netshare.operations.status import status
from netshare.operations.waiting import Waiting
from netshare.runtime.capabilities import require_net_admin

_NAMES_SHOWN = 3
_INTERRUPTED = "interrupted while waiting: the definition stays, `netshare detach` takes it back"


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
        typer.Option(
            metavar="ENGINE",
            help="docker, podman or static. Default: whichever answers.",
            autocompletion=completing.one_of("docker", "podman", "static"),
        ),
    ] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(metavar="IP[:PORT]", help="A static replica, no engine needed (repeatable)."),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="STRATEGY",
            help="random (the default), round-robin, or source-hash: by client address.",
            autocompletion=completing.one_of(*Strategy),
        ),
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REPLICA=W",
            help="A replica's share, 0 to 256 (repeatable). Default: its label, else 1.",
            autocompletion=completing.weights,
        ),
    ] = None,
    health: Annotated[
        str | None,
        typer.Option(
            metavar="CHECK",
            help="none, engine (its HEALTHCHECK, the default), tcp[:PORT] or http:[PORT]/PATH (2xx and 3xx are well).",
            autocompletion=completing.one_of("none", "engine", "tcp", "http:/"),
        ),
    ] = None,
    interval: Annotated[
        str | None, typer.Option(metavar="TIME", help="How often the agent probes each replica, by tcp or http: 2s.")
    ] = None,
    health_timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long a probe waits for its answer: 1s.")
    ] = None,
    rise: Annotated[
        str | None, typer.Option(metavar="N", help="Successes in a row that make a replica healthy again: 2.")
    ] = None,
    fall: Annotated[
        str | None, typer.Option(metavar="N", help="Failures in a row that make a replica unhealthy: 3.")
    ] = None,
    health_host: Annotated[
        str | None, typer.Option(metavar="HOST", help="The Host header of http probes. Default: the service's name.")
    ] = None,
    fail: Annotated[
        str | None,
        typer.Option(
            metavar="MODE",
            help="With no healthy replica: open (the default) serves all, closed refuses.",
            autocompletion=completing.one_of(*FailMode),
        ),
    ] = None,
    drain: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How long connections may go on when their replica leaves: 30s, none for as long as they like. "
            "Default: its label, else 30s.",
        ),
    ] = None,
    driver: Annotated[
        str | None,
        typer.Option(
            metavar="DRIVER",
            help="auto (the default), nftables or iptables.",
            autocompletion=completing.one_of(AUTO, NFTABLES, IPTABLES),
        ),
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
    """Put the replicas of NAME behind a port of this host.

    As in netshare attach web 80 --to 8080: port 80 of this host, spread over port 8080 of each container of web.
    """
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
        weights=tuple(map(parse.replica_weight, weight or ())),
        health=HealthRequest(
            check=None if health is None else checks.kind_of_check(health),
            interval=None if interval is None else checks.interval(interval),
            timeout=None if health_timeout is None else checks.timeout(health_timeout),
            rise=None if rise is None else checks.in_a_row(rise),
            fall=None if fall is None else checks.in_a_row(fall),
            host=None if health_host is None else checks.host(health_host),
            fail=None if fail is None else checks.fail_mode(fail),
        ),
        drain=None if drain is None else parse.drain(drain),
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
    with output.ProgressLine(_INTERRUPTED) as line:
        attached = operation.attach(
            host, agent, sockets, request, clock=time, progress=lambda waiting: line.show(*_progress(waiting))
        )
    if request.wait:
        attached = with_answers(attached, wiring.probe(), time)
    for warning in attached.warnings:
        output.note(f"warning: {warning}")
    if form is output.Format.JSON:
        now = status(host, agent, wiring.connections(), request.name)
        output.document(documents.of_attached(attached, now))
    else:
        output.line(_summary(attached))
    if not attached.agent.is_running:
        for note in advice.without_agent([attached.service]):
            output.note(note)


def _progress(waiting: Waiting) -> tuple[str, str]:
    """Say how the wait goes: for a line that is drawn again and again, and for one that is not."""
    # What one could do about it is being done.
    why = "; ".join(f"{r.name} {r.state}: {str(r.reason).partition(': run ')[0]}" for r in waiting.replicas)
    why = why or "no replica yet"
    return (
        f"{waiting.name}: waiting {waiting.seconds:.0f} of {waiting.timeout:g} s: {why}",
        f"{waiting.name}: waiting up to {waiting.timeout:g} s: {why}",
    )


def _summary(attached: Attached) -> str:
    listeners = ", ".join(map(str, attached.listeners))
    ready = [replica.name for replica in attached.replicas if replica.state is ReplicaState.READY]
    if not ready:
        return f"{attached.service.name}: {listeners} -> no replica ready yet"
    named = ", ".join(ready[:_NAMES_SHOWN]) + (", …" if len(ready) > _NAMES_SHOWN else "")
    count = "1 replica" if len(ready) == 1 else f"{len(ready)} replicas"
    return f"{attached.service.name}: {listeners} -> {count} ready ({named})"

"""``netshare drain``."""

import math
import time
from typing import Annotated

import typer

from netshare.cli import documents, output
from netshare.cli.options import Name, Output, ReplicaName
from netshare.cli.problems import finish
from netshare.core import parse
from netshare.core.draining import Drain
from netshare.operations import drain as operation
from netshare.operations import draining
from netshare.operations.draining import End, Ended, Left, Remaining, counted
from netshare.runtime.capabilities import require_net_admin

_PAUSE = 1.0
"""Seconds between lines where none can be drawn again."""


def drain(
    name: Name,
    replica: ReplicaName,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until no connection is left; at the deadline, cut what is.")
    ] = False,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The deadline: 2m, or none. Default: what `attach --drain` said, else 30s."),
    ] = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Give a replica no new connections, while those that are open go on for a time."""
    service, word = parse.service_name(name), parse.replica_name(replica)
    seconds = None if timeout is None else parse.drain(timeout)
    require_net_admin("drain")
    from netshare import wiring

    host, agent, connections = wiring.host(), wiring.agent_control(), wiring.connections()
    drained = operation.drain(host, agent, service, [word], timeout=seconds)
    for warning in drained.warnings:
        output.note(f"warning: {warning}")
    [own] = drained.drains
    ended = None
    if wait:
        stays = f"interrupted while waiting: {own.name} stays drained, `netshare resume {service} {word}` takes it back"
        with output.ProgressLine(stays, pause=_PAUSE) as line:
            [ended] = draining.wait(
                host,
                agent,
                connections,
                drained.drains,
                clock=time,
                progress=lambda remaining: line.show(*_progress(remaining)),
            )
    left = draining.left(host, connections, own)
    problems = list(draining.problems(ended)) if ended else []
    if form is output.Format.JSON:
        output.document(documents.of_drained(drained, left, ended, problems))
    else:
        output.line(f"{service}: {_ended(ended) if ended else _begun(left)}")
    if not wait and agent.pid() is None and math.isfinite(own.deadline):
        output.note(_nobody(own))
    finish(problems)


def _begun(left: Left) -> str:
    return f"{left.replica} gets no new connections; {_stands(left)}"


def _ended(ended: Ended) -> str:
    after = f"after {ended.seconds:.1f} s"
    match ended.how:
        case End.EMPTY:
            return f"{ended.replica} has no connections left {after}"
        case End.CUT:
            return f"{ended.replica} has no connections left {after}: {counted(ended.cut)} cut"
        case End.LEFT:
            return f"{ended.replica} has {counted(ended.left)} left {after}, which a rollout ends by stopping it"
        case End.GONE:
            return f"{ended.replica} has ended {after}"
        case End.RESUMED:
            return f"{ended.replica} takes new connections again {after}"


def _progress(remaining: Remaining) -> tuple[str, str]:
    """Say how it stands: for a line that is drawn again and again, and for one that is not."""
    (left,) = remaining.replicas
    now = f"{remaining.service}: {left.replica} drains: {_stands(left)}"
    return now, now


def _stands(left: Left) -> str:
    until = f"{math.ceil(left.to_go)} s to go" if math.isfinite(left.to_go) else "no deadline"
    return f"{counted(left.connections)} left, {until}"


def _nobody(own: Drain) -> str:
    return (
        f"no agent runs: what {own.name} has left at its deadline is not cut before another verb runs; `netshare drain "
        f"{own.service} {own.name} --wait` waits and cuts it, as `netshare agent` does"
    )

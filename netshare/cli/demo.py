"""``netshare demo``: its steps as a page that newcomers read first, every figure in it measured just then."""

import os
import re
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, assert_never

from netshare.cli import output
from netshare.operations import demo_steps as steps

if TYPE_CHECKING:
    from netshare.lab.traffic import Traffic


def demo() -> None:
    """Show the main job on the real kernel, in a lab of its own: no engine, nothing of this machine touched."""
    from netshare import wiring

    with closing(wiring.demo()) as running:
        for step in running:
            _show(step)


def _show(step: steps.Step) -> None:
    match step:
        case steps.Built():
            _built(step)
        case steps.Served():
            _served(step)
        case steps.Spread():
            _spread(step)
        case steps.Replaced():
            _replaced(step)
        case steps.Held():
            _heading("5. Where it happens: in the kernel (from `netshare rules`)")
            output.text(excerpt(step.rules))
        case steps.Alone():
            _heading(f"6. netshare leaves: {step.threads} of its threads remain in the host's namespace")
            output.line(f"{_outcome(step.traffic)}, by the kernel alone")
        case steps.Removed():
            _heading(f"Removed again, {step.seconds:.1f} s after it began: {step.networks} of its namespaces are left.")
            output.line(
                "Next: `netshare attach web 80` does this for your containers web-1, web-2, ... (`netshare --help`)"
            )
        case _:
            assert_never(step)


def _built(step: steps.Built) -> None:
    kernel = f"this machine's kernel (Linux {os.uname().release})"
    output.line(f"netshare demo: one host port, three replicas, no proxy, on {kernel}.")
    output.line("Host, client and replicas are network namespaces of its own: the machine itself is not touched.")
    _heading(f"1. The lab, built in {_time(step.seconds)}")
    first, *others = (f"{replica.name} {replica.endpoint}" for replica in step.replicas)
    way = f"[client {step.client}] ---> [host {step.host.address}] ---> "
    output.line(f"{way}[{first}]")
    for other in others:
        output.line(f"{'+--> '.rjust(len(way))}[{other}]")


def _served(step: steps.Served) -> None:
    request = step.request
    _heading(f"2. Attached in {_time(step.seconds)}, by the code behind this command")
    output.line(f"netshare attach {request.name} {request.port} \\")
    output.line("    " + " ".join(f"--endpoint {endpoint}" for endpoint in request.endpoints))
    output.line(f"{request.name}: {', '.join(map(str, step.listeners))} -> {step.ready} replicas ready")


def _spread(step: steps.Spread) -> None:
    total = step.traffic.requests
    _heading(f"3. {total} requests from the client to {step.host}, each on a new connection")
    rows = [
        (replica.name, str(replica.endpoint), f"{count}", f"{count / total:.1%}")
        for replica in step.replicas
        for count in [step.traffic.answers.get(replica.name, 0)]
    ]
    _figures(("REPLICA", "ENDPOINT", "REQUESTS", "SHARE"), rows, words=2)
    seen = ", ".join(map(str, sorted(step.traffic.clients))) or "nobody"
    whose = "the client's own address, " if step.traffic.clients and step.kept_address else ""
    output.line(f"{_outcome(step.traffic)}; the replicas saw {whose}{seen}")


def _replaced(step: steps.Replaced) -> None:
    left, came, traffic = step.left.name, step.came.name, step.traffic
    _heading(f"4. {left} leaves, then {came} comes, under {step.rate:.0f} requests a second")
    rows = [(s.replica.name, str(s.before), str(s.without), str(s.after)) for s in step.shares]
    _figures(("REPLICA", f"WITH {left}", "WITHOUT IT", f"WITH {came}"), rows, words=1)
    drained = f"drained {_time(step.drained)} after `attach` without it began"
    output.line(f"{left}: {drained}; then {step.late} of {step.since_left} connections")
    output.line(f"{came}: attached; then {step.share(step.came).after} of {step.since_came} connections")
    output.line(f"{_outcome(traffic)}; the slowest took {_time(traffic.slowest)}")


def excerpt(rules: str) -> str:
    """Cut out of a ruleset what a connection passes on its way to a replica: filled maps, and the draw."""
    table = rules.rstrip().removesuffix("}")
    blocks = [textwrap.dedent(block.expandtabs()).splitlines() for block in table.split("\n\n") if block.strip()]
    return "\n".join(
        re.sub("^ {8}", "    ", line)
        for block in blocks
        if _leads_to_a_replica(block)
        for line in block
        if not line.lstrip().startswith(("type", "comment"))
    )


def _leads_to_a_replica(block: list[str]) -> bool:
    is_map = block[0].startswith("map ") and any("elements = " in line for line in block)
    is_draw = block[0].startswith("chain ") and any("dnat" in line for line in block)
    return (is_map or is_draw) and not any("goto refuse" in line for line in block)


def _figures(columns: Sequence[str], rows: Iterable[Sequence[str]], *, words: int) -> None:
    """Print a table whose first columns are words and whose others are figures, right-aligned under their names."""
    output.table(
        columns,
        [[cell if at < words else cell.rjust(len(columns[at])) for at, cell in enumerate(row)] for row in rows],
    )


def _heading(words: str) -> None:
    output.line("")
    output.line(words)


def _outcome(traffic: "Traffic") -> str:
    return f"{sum(traffic.answers.values())} answered, {len(traffic.failures)} failed"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"

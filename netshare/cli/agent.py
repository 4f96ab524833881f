"""``netshare agent``: being it, and having systemd start it."""

from typing import Annotated

import typer

from netshare.cli import documents, output
from netshare.cli.options import Output
from netshare.cli.usage import Verb
from netshare.core import parse
from netshare.operations import agent_unit
from netshare.operations.agent_unit import UnitChange
from netshare.runtime.capabilities import require_net_admin

agent = typer.Typer(
    help="Follow replicas as they come and go, until it is stopped. The kernel is left as it is then.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@agent.callback()
def run(
    context: typer.Context,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="ADDR:PORT",
            envvar="NETSHARE_METRICS",
            show_default=False,
            help="Serve metrics for Prometheus there, as in 127.0.0.1:9440 or [::1]:9440.",
        ),
    ] = None,
) -> None:
    """Be the agent, unless something else is asked for."""
    if context.invoked_subcommand is None:
        address = parse.local_address(metrics) if metrics else None
        require_net_admin("agent")
        from netshare import wiring

        wiring.run_agent(address)


@agent.command(cls=Verb)
def install(form: Output = output.Format.TABLE) -> None:
    """Have systemd start the agent now and at every boot, and keep it running."""
    from netshare import wiring

    _tell(agent_unit.install(wiring.systemd(), wiring.agent_control(), wiring.agent_unit), form)


@agent.command(cls=Verb)
def uninstall(form: Output = output.Format.TABLE) -> None:
    """Stop the agent and remove its unit. The kernel is left as it is."""
    from netshare import wiring

    _tell(agent_unit.uninstall(wiring.systemd()), form)


def _tell(change: UnitChange, form: output.Format) -> None:
    for warning in change.warnings:
        output.note(f"warning: {warning}")
    if form is output.Format.JSON:
        output.document(documents.of_facts(unit=str(change.unit), done=change.done, warnings=change.warnings))
        return
    for each in change.done or ("nothing to do",):
        output.line(f"{change.unit.name}: {each}")

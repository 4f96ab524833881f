"""The ``netshare`` command: its verbs, and the one place where errors end."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from netshare.cli import output
from netshare.cli.agent import agent
from netshare.cli.attach import attach
from netshare.cli.demo import demo
from netshare.cli.detach import detach
from netshare.cli.doctor import doctor
from netshare.cli.listing import list_
from netshare.cli.pod import pod
from netshare.cli.reset import reset
from netshare.cli.rules import rules
from netshare.cli.status import status
from netshare.cli.sync import sync
from netshare.cli.version import version
from netshare.cli.weight import weight
from netshare.errors import NetshareError, UsageError

_INTERRUPTED = 130

app = typer.Typer(
    name="netshare",
    help="One host port, many containers, no proxy: the kernel itself spreads new connections.",
    rich_markup_mode=None,  # rich would be imported for --help alone
    pretty_exceptions_enable=False,  # a bug crashes loudly, with Python's own words
)
app.command()(attach)
app.command()(detach)
app.command("list")(list_)
app.command()(status)
app.command()(weight)
app.command()(sync)
app.command()(agent)
app.command()(rules)
app.command()(doctor)
app.command()(reset)
app.add_typer(pod, name="pod")
app.command()(demo)
app.command()(version)


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if show_version:
        version()
        raise typer.Exit
    if context.invoked_subcommand is None:
        output.text(context.get_help())


def main() -> None:
    """Run the command line that this process was started with."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run a command line; gives its exit code."""
    try:
        result = get_command(app).main(list(words), prog_name="netshare", standalone_mode=False)
    except NetshareError as error:
        return _failed(error, words)
    except typer.TyperException as error:
        return _failed(_usage(error), words)
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    return result if isinstance(result, int) else 0


def _failed(error: NetshareError, words: Sequence[str]) -> int:
    if output.wants_json(words):
        output.failure_document(error)
    output.failure(error)
    return error.exit_code


def _usage(error: typer.TyperException) -> UsageError:
    """Turn typer's own complaint into netshare's."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "netshare"
    message = error.format_message().replace("Value error, ", "")
    return UsageError(message, hint=f"`{command} --help` shows the words")

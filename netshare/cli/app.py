"""The ``netshare`` command: its verbs, and the one place where errors end."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer
from typer.main import get_command

from netshare.cli import completing, output
from netshare.cli.usage import Verb
from netshare.errors import NetshareError, UsageError

_INTERRUPTED = 130

VERBS = {
    "attach": ("attach", "attach", "Put the replicas of NAME behind a port of this host."),
    "detach": ("detach", "detach", "Remove one listener of a service, or all of it."),
    "list": ("listing", "list_", "List the services, one a line."),
    "status": ("status", "status", "Show the services with their replicas and connections."),
    "top": ("top", "top", "Show services and replicas live; keys sort, drain and resume."),
    "weight": ("weight", "weight", "Change a replica's share of the new connections."),
    "drain": ("drain", "drain", "Give a replica no new connections, while those that are open go on for a time."),
    "resume": ("resume", "resume", "Give a drained replica new connections again."),
    "apply": ("apply", "apply", "Bring the services to what a file says."),
    "diff": ("diff", "diff", "Show what apply would change."),
    "export": ("export", "export", "Print the services as a file that apply takes."),
    "rollout": ("rollout", "rollout", "Replace every replica by a new one, with no failed request."),
    "sync": ("sync", "sync", "Bring the kernel up to date once."),
    "agent": ("agent", "agent", "Follow replicas as they come and go, until it is stopped."),
    "events": ("events", "events", "Show what the agent does: every event as it happens."),
    "rules": ("rules", "rules", "Print what netshare holds in the kernel."),
    "doctor": ("doctor", "doctor", "Check what on this host stands in the way, each with its mend."),
    "reset": ("reset", "reset", "Remove everything of netshare's from the kernel; definitions stay."),
    "pod": ("pod", "pod", "Replicas that share one port by SO_REUSEPORT, in one sandbox."),
    "demo": ("demo", "demo", "Show the main job on the real kernel, in a lab of its own."),
    "version": ("version", "version", "Print the version."),
}
"""Each verb's module in this package, its name there, and what `netshare --help` says of it.

A module is imported only when its verb is asked for: all of them take longer than the overview may.
"""


def application(words: Sequence[str]) -> typer.Typer:
    """Build the command with the verb that these words ask for; the others are there by name only."""
    app = typer.Typer(
        name="netshare",
        help="One host port, many containers, no proxy: the kernel itself spreads new connections.",
        epilog="Begin with `netshare attach web 80`, or `netshare demo`; `netshare doctor` tells what is wrong.",
        rich_markup_mode=None,  # rich would be imported for --help alone
        pretty_exceptions_enable=False,  # a bug crashes loudly, with Python's own words
    )
    app.callback(invoke_without_command=True)(_start)
    if completing.VARIABLE in os.environ:
        words = completing.words_so_far()
        sys.modules["rich"] = None  # type: ignore[assignment] # typer would import it to take mark-up out of help
    asked = next((word for word in words if not word.startswith("-")), None)
    for verb in VERBS:
        if verb == asked:
            _add(app, verb)
        else:
            app.command(verb, help=VERBS[verb][2])(_asked_for_by_name)
    return app


def _add(app: typer.Typer, verb: str) -> None:
    """Import a verb, or a group of them."""
    module, name, _ = VERBS[verb]
    found = getattr(import_module(f"netshare.cli.{module}"), name)
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=verb)
    else:
        app.command(verb, cls=Verb)(found)


def _asked_for_by_name() -> None:
    """Stand for a verb in the overview."""


def _start(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if show_version:
        from netshare.cli.version import version

        version()
        raise typer.Exit
    if context.invoked_subcommand is None:
        output.text(context.get_help())


def main() -> None:
    """Run the command line that this process was started with."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str], name: str = "netshare") -> int:
    """Run a command line; gives its exit code. ``name`` is what the program is called in its help."""
    try:
        result = get_command(application(words)).main(
            list(words), prog_name=name, complete_var=completing.VARIABLE, standalone_mode=False
        )
    except NetshareError as error:
        return failed(error, words)
    except typer.TyperException as error:
        return failed(_usage(error), words)
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    return result if isinstance(result, int) else 0


def failed(error: NetshareError, words: Sequence[str]) -> int:
    """Tell what went wrong; gives the exit code."""
    if output.wants_json(words):
        output.failure_document(error)
    output.failure(error)
    return error.exit_code


def _usage(error: typer.TyperException) -> UsageError:
    """Turn typer's own complaint into netshare's."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "netshare"
    message = error.format_message().replace("Value error, ", "")
    return UsageError(message, hint=f"`{command} --help` lists its arguments and options")

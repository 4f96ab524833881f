"""``netshare events``."""

from contextlib import closing
from datetime import datetime
from typing import Annotated

import typer

from netshare.cli import output
from netshare.cli.options import Output
from netshare.core.event import Event
from netshare.errors import UsageError
from netshare.runtime.listening import Told

_BESIDE = ("schema", "time", "level", "stage")
_QUIET = "debug"


def events(
    last: Annotated[int, typer.Option(metavar="N", help="How many of the last events to begin with.")] = 10,
    is_following: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Go on with what happens, until Ctrl-C.")
    ] = True,
    form: Output = output.Format.TABLE,
) -> None:
    """Show what the agent does: every event as it happens. It begins with the last ones."""
    if last < 0:
        raise UsageError(f"{last} is no number of events", hint="0 shows only what happens from now on")
    from netshare import wiring

    with closing(wiring.events(last, follow=is_following)) as told:
        for each in told:
            if each.get("level") == _QUIET:
                continue
            if form is output.Format.JSON:
                output.document_line(dict(each))
            else:
                output.line(_words(each))


def _words(told: Told) -> str:
    """Write an event as the agent's log has it, behind the time of day."""
    at = datetime.fromisoformat(str(told.get("time"))).astimezone().strftime("%H:%M:%S.%f")[:-3]
    fields = {name: value for name, value in told.items() if name not in _BESIDE}
    return f"{at} {str(told.get('level')).upper()} {Event(str(told.get('stage')), fields)}"

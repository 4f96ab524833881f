"""``netshare rollout``."""

from typing import Annotated

import typer

from netshare.cli import output, rollout_documents
from netshare.cli.options import Name, Output
from netshare.cli.problems import finish
from netshare.core import parse, pods
from netshare.errors import NetshareError, UsageError
from netshare.operations import rollout as operation
from netshare.operations.rollout import Outcome, Request, Rolled, Tools
from netshare.runtime.capabilities import require_net_admin

_PAUSE = 5.0
"""Seconds between lines that say what is waited for, where none can be drawn again."""


def rollout(
    name: Name,
    image: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="The new replicas' image; it has to be here. Default: their own, as it is."),
    ] = None,
    batch: Annotated[
        str | None, typer.Option(metavar="N", help="How many take over at once. Default: a quarter of them.")
    ] = None,
    surge: Annotated[
        str | None, typer.Option(metavar="N", help="How many more than before may run meanwhile. Default: a batch.")
    ] = None,
    canary: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE", help="Give the first ones this share, as in 10%, beside all old ones, and pause."
        ),
    ] = None,
    pause: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Pause after the canary and after each batch: 5m, or promote, until --promote is said."
        ),
    ] = None,
    drain: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long open connections may go on. Default: as for any drain."),
    ] = None,
    timeout: Annotated[
        str, typer.Option(metavar="TIME", help="How long new ones may take to become well, before all is taken back.")
    ] = "120s",
    promote: Annotated[bool, typer.Option("--promote", help="Let one that has paused go on.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with one that was interrupted.")] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Take one back: the old replicas serve again.")] = False,
    form: Output = output.Format.TABLE,
) -> None:
    """Replace every replica by a new one, with no failed request."""
    words = {"--promote": promote, "--resume": resume, "--abort": abort}
    said = [word for word, is_said in words.items() if is_said]
    begins = (image, batch, surge, canary, pause, drain)
    if len(said) > 1 or (said and any(each is not None for each in begins)):
        raise UsageError(
            f"{said[-1]} is about a rollout that was begun: it goes with no other word",
            hint=f"`netshare rollout {name} {said[-1]}`",
        )
    request = Request(
        parse.service_name(name),
        None if image is None else pods.image_name(image),
        None if batch is None else parse.replicas(batch, "--batch"),
        None if surge is None else parse.replicas(surge, "--surge"),
        parse.duration(timeout),
        None if drain is None else parse.drain(drain),
        None if canary is None else parse.share(canary),
        None if pause is None else parse.pause(pause),
    )
    require_net_admin("rollout")
    _run(request, said[0] if said else None, form)


def _run(request: Request, word: str | None, form: output.Format) -> None:
    from netshare import wiring
    from netshare.operations import rolling

    name = request.service
    with output.ProgressLine("", pause=_PAUSE) as line:
        tools = wiring.rollout_tools(_Telling(name, line))
        try:
            match word:
                case "--promote":
                    rolled = rolling.promote(tools, name)
                case "--resume":
                    rolled = rolling.resume(tools, name)
                case "--abort":
                    rolled = rolling.abort(tools, name)
                case _:
                    rolled = rolling.begin(tools, request)
        except KeyboardInterrupt:
            _interrupted(tools, name)
            raise
    _show(rolled, form, wished=word == "--abort")


class _Telling:
    """Tells how it goes, on stderr."""

    def __init__(self, name: str, line: output.ProgressLine) -> None:
        self._name = name
        self._line = line

    def said(self, what: str) -> None:
        """Something was done."""
        self._line.keep(f"{self._name}: {what}")

    def waits(self, what: str, detail: str = "") -> None:
        """Something is waited for; ``detail`` changes from moment to moment."""
        self._line.show(f"{self._name}: {what}{f' ({detail})' if detail else ''}", f"{self._name}: {what}")


def _interrupted(tools: Tools, name: str) -> None:
    there = tools.host.rollouts.get(name)
    if there is not None:
        output.note(
            f"interrupted: {operation.stands(there)}; `netshare rollout {name} --resume` goes on, "
            f"`netshare rollout {name} --abort` takes it back"
        )


def _show(rolled: Rolled, form: output.Format, *, wished: bool) -> None:
    problems = []
    if rolled.outcome is Outcome.TAKEN_BACK and not wished:
        hint = f"`netshare rollout {rolled.service}` begins anew"
        problems.append(NetshareError(f"the rollout of {rolled.service} was taken back, as was asked", hint=hint))
    if form is output.Format.JSON:
        output.document(rollout_documents.of_rolled(rolled, problems))
    elif rolled.outcome is Outcome.COMPLETED:
        replicas = "1 replica" if len(rolled.pairs) == 1 else f"{len(rolled.pairs)} replicas"
        output.line(f"{rolled.service}: {replicas} replaced in {rolled.seconds:.0f} s")
    else:
        output.line(
            f"{rolled.service}: taken back, {', '.join(pair.old.name for pair in rolled.pairs)} serve as before"
        )
    finish(problems)

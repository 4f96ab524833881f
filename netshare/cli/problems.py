"""How a verb ends that could show only a part: the part is printed, then what is missing is told."""

from collections.abc import Sequence

import typer

from netshare.cli import output
from netshare.errors import NetshareError


def finish(problems: Sequence[NetshareError]) -> None:
    """End with the exit code of the first problem, if there is one; a JSON document has told of them already."""
    for problem in problems:
        output.failure(problem)
    if problems:
        raise typer.Exit(problems[0].exit_code)

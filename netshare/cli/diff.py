"""``netshare diff``."""

from difflib import unified_diff

import typer

from netshare.cli import documents, output
from netshare.cli.files import File, Prune, services
from netshare.cli.options import Output
from netshare.operations.apply import Applied, differences

DIFFERENT = 10
"""The exit code that tells a difference from a failure, which is 1."""


def diff(file: File, prune: Prune = False, form: Output = output.Format.TABLE) -> None:
    """Show what apply would change; exit code 10 if that is anything, 0 if not."""
    wanted = services(file)
    from netshare import wiring
    from netshare.store import services_file

    found = Applied(differences(wiring.store().load(), wanted, prune=prune))
    if form is output.Format.JSON:
        output.document(documents.of_applied(found, is_dry=True))
    else:
        for change in found.changes:
            before, after = (services_file.as_text(each).splitlines() for each in (change.before, change.after))
            names = f"{change.name} as it is", f"{change.name} by the file"
            output.text("\n".join(unified_diff(before, after, *names, lineterm="")))
    if found.is_change:
        raise typer.Exit(DIFFERENT)

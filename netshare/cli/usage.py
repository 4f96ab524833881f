"""How a verb's usage line is written: as docker's and kubectl's are, ``netshare detach [OPTIONS] NAME [PORT]``."""

from collections.abc import Iterable, Sequence

from typer.core import TyperArgument, TyperCommand
from typer.models import Context


def usage(arguments: Iterable[TyperArgument]) -> Sequence[str]:
    """Write arguments: what may be left out is in brackets."""
    words = [(each.metavar or str(each.name).upper(), each) for each in arguments]
    return [word if each.required else f"[{word}{'...' if each.nargs == -1 else ''}]" for word, each in words]


class Verb(TyperCommand):
    """A verb, whose usage line typer would write as ``{NAME} [PORT]``."""

    def collect_usage_pieces(self, ctx: Context) -> list[str]:  # type: ignore[override] # noqa: ARG002 (typer's own)
        """Give what comes behind the verb's name."""
        arguments = [each for each in self.params if isinstance(each, TyperArgument)]
        return ["[OPTIONS]", *usage(arguments)]

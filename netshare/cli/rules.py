"""``netshare rules``."""

from enum import StrEnum
from typing import Annotated

import typer

from netshare.cli import documents, output
from netshare.cli.options import Output
from netshare.errors import UsageError
from netshare.operations import rules as operation
from netshare.runtime.capabilities import require_net_admin


class Syntax(StrEnum):
    """Whose words to use."""

    NFT = "nft"
    IPTABLES = "iptables"


def rules(
    syntax: Annotated[Syntax, typer.Option("--format", help="In which tool's syntax.")] = Syntax.NFT,
    form: Output = output.Format.TABLE,
) -> None:
    """Print what netshare holds in the kernel."""
    if syntax is Syntax.IPTABLES:
        raise UsageError("--format iptables is not in this version of netshare", hint="choose nft")
    require_net_admin("rules")
    from netshare import wiring

    held = operation.rules(wiring.host())
    if form is output.Format.JSON:
        facts = {"format": syntax.value, "rules": held.text, "empty": held.is_empty, "intact": held.is_intact}
        output.document(documents.of_facts(**facts))
    elif not held.is_empty:
        output.text(held.text)
    if held.is_empty:
        output.note("netshare holds nothing in the kernel")
    elif not held.is_intact:
        output.note("warning: another hand altered netshare's rules in the kernel; `netshare sync` mends them")

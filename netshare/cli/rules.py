"""``netshare rules``."""

from enum import StrEnum
from typing import Annotated

import typer

from netshare.cli import documents, output
from netshare.cli.options import Output
from netshare.core.model import IPTABLES, NFTABLES
from netshare.operations import rules as operation
from netshare.runtime.capabilities import require_net_admin


class Syntax(StrEnum):
    """Whose words to use."""

    NFT = "nft"
    IPTABLES = "iptables"


_DRIVER = {Syntax.NFT: NFTABLES, Syntax.IPTABLES: IPTABLES}
_SYNTAX = {driver: syntax for syntax, driver in _DRIVER.items()}


def rules(
    syntax: Annotated[
        Syntax | None,
        typer.Option(
            "--format", help="What the driver with this tool's syntax holds. Default: the one that is in use."
        ),
    ] = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Print what netshare holds in the kernel."""
    require_net_admin("rules")
    from netshare import wiring

    held = operation.rules(wiring.host(), None if syntax is None else _DRIVER[syntax])
    if form is output.Format.JSON:
        shown = _SYNTAX[held.driver].value
        facts = {"format": shown, "rules": held.text, "empty": held.is_empty, "intact": held.is_intact}
        output.document(documents.of_facts(**facts))
    elif not held.is_empty:
        output.text(held.text)
    for other in held.others:
        output.note(f"the driver {other} holds services too: netshare rules --format {_SYNTAX[other].value}")
    if held.is_empty:
        output.note(
            f"netshare holds nothing in {held.driver}" if held.others else "netshare holds nothing in the kernel"
        )
    elif not held.is_intact:
        output.note("warning: another hand altered netshare's rules in the kernel; `netshare sync` mends them")

"""``netshare weight``."""

from typing import Annotated

import typer

from netshare.cli import documents, output
from netshare.cli.options import Name, Output, ReplicaName
from netshare.core import parse
from netshare.operations import weight as operation
from netshare.operations.weight import Weighed
from netshare.runtime.capabilities import require_net_admin


def weight(
    name: Name,
    replica: ReplicaName,
    share: Annotated[
        str, typer.Argument(metavar="W", help="0 (no new connections) to 256; all replicas have 1 by default.")
    ],
    form: Output = output.Format.TABLE,
) -> None:
    """Change a replica's share of the new connections; open ones stay where they are."""
    service, meant, number = parse.service_name(name), parse.replica_name(replica), parse.weight(share)
    require_net_admin("weight")
    from netshare import wiring

    weighed = operation.weigh(wiring.host(), wiring.agent_control(), service, meant, number)
    for warning in weighed.warnings:
        output.note(f"warning: {warning}")
    if not any(each for _, each in weighed.shares):
        output.note(f"every replica of {weighed.service} has weight 0: new connections are refused")
    if form is output.Format.JSON:
        output.document(documents.of_weighed(weighed))
    else:
        output.line(_summary(weighed))


def _summary(weighed: Weighed) -> str:
    total = sum(each for _, each in weighed.shares)
    return f"{weighed.service}: {weighed.replica} has weight {weighed.weight} of {total}"

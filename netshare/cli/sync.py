"""``netshare sync``."""

from netshare.cli import documents, output
from netshare.cli.options import Output
from netshare.cli.problems import finish
from netshare.core.model import ReplicaState
from netshare.operations import sync as operation
from netshare.operations.status import Status
from netshare.runtime.capabilities import require_net_admin


def sync(form: Output = output.Format.TABLE) -> None:
    """Bring the kernel up to date once."""
    require_net_admin("sync")
    from netshare import wiring

    found = operation.sync(wiring.host(), wiring.agent_control(), wiring.connections())
    if form is output.Format.JSON:
        output.document(documents.of_status(found))
    else:
        output.line(_summary(found))
        for notice in found.notices:
            output.note(str(notice))
    finish(found.problems)


def _summary(found: Status) -> str:
    states = [counted.replica.state for item in found.services for counted in item.replicas]
    services = "1 service" if len(found.services) == 1 else f"{len(found.services)} services"
    return f"in step: {services}, {states.count(ReplicaState.READY)} of {len(states)} replicas ready"

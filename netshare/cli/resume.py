"""``netshare resume``."""

from netshare.cli import documents, output
from netshare.cli.options import Name, Output, ReplicaName
from netshare.core import parse
from netshare.core.model import Replica, ReplicaState
from netshare.operations import drain as operation
from netshare.operations.replica import judged, named
from netshare.runtime.capabilities import require_net_admin


def resume(name: Name, replica: ReplicaName, form: Output = output.Format.TABLE) -> None:
    """Give a drained replica new connections again."""
    service, word = parse.service_name(name), parse.replica_name(replica)
    require_net_admin("resume")
    from netshare import wiring

    host = wiring.host()
    resumed = operation.resume(host, wiring.agent_control(), service, [word])
    for warning in resumed.warnings:
        output.note(f"warning: {warning}")
    _, replicas = judged(host, host.store.load(), service)
    now = named(word, service, replicas)
    if form is output.Format.JSON:
        output.document(documents.of_resumed(resumed, now))
    else:
        output.line(f"{service}: {_summary(now, changed=resumed.changed)}")


def _summary(now: Replica, *, changed: bool) -> str:
    what = f"{now.name} is resumed" if changed else f"{now.name} was not drained"
    if now.state is ReplicaState.READY:
        return f"{what}: it takes new connections"
    return f"{what}, and is {now.state}: {now.reason}"

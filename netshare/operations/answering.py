"""Whether anything takes connections where the kernel now sends them.

An engine calls a container ready though nothing in it listens on the port that was meant: a forgotten ``--to`` would
show only as clients who are refused. So whoever attaches is told. It is a warning and no more: what takes connections a
little later than its container runs is as it should be.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from netshare.core.health import Probe
from netshare.core.judging import probes_of
from netshare.core.model import CheckKind, HealthCheck, Listener, Protocol, Replica, ReplicaState
from netshare.operations.attach import Attached
from netshare.operations.control import Clock
from netshare.operations.readiness import Ask

_PATIENCE = 0.5
_LOOKS = 4
"""What has only just been started may take a moment to listen; a second passes between the first look and the last."""
_PAUSE = 1 / 3
_NAMED = 3


def with_answers(attached: Attached, ask: Ask, clock: Clock) -> Attached:
    """Knock at the ports just attached; adds a warning for each that ready replicas take no connection on."""
    asked, silent = tuple(_asked(attached)), dict[Probe, str]()
    for look in range(_LOOKS):
        if look:
            clock.sleep(_PAUSE)
        silent = {probe: why for probe, why in ask(tuple(silent) or asked).items() if why is not None}
        if not silent:
            return attached
    warnings = [
        _warning(attached, port, {probe: why for probe, why in silent.items() if probe.endpoint.port == port})
        for port in sorted({probe.endpoint.port for probe in silent})
    ]
    return replace(attached, warnings=(*attached.warnings, *warnings))


def _asked(attached: Attached) -> Iterable[Probe]:
    """List what to knock at: nothing that probes look after anyway, and nothing that takes datagrams."""
    if attached.service.health.is_probed:
        return
    tcp = [listener for listener in attached.listeners if listener.protocol is Protocol.TCP]
    connecting = replace(attached.service, health=HealthCheck(CheckKind.TCP, timeout=_PATIENCE))
    for replica in attached.replicas:
        if replica.state is ReplicaState.READY:
            yield from probes_of(connecting, _only(replica, tcp))


def _only(replica: Replica, listeners: Sequence[Listener]) -> Replica:
    kept = {listener: each for listener, each in replica.endpoints.items() if listener in listeners}
    return replace(replica, endpoints=kept)


def _warning(attached: Attached, port: int, silent: Mapping[Probe, str]) -> str:
    ids = {probe.replica for probe in silent}
    names = [replica.name for replica in attached.replicas if replica.id in ids]
    named = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    mend = (
        "start what should listen there" if attached.service.is_static else "if they listen on another, add --to PORT"
    )
    return f"nothing takes connections on port {port} of {named} so far ({next(iter(silent.values()))}): {mend}"

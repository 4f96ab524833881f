"""Whether new replicas are fit to be given connections.

What is judged well by a health check is. Where there is none, neither the image's own nor one of netshare's, a
container "runs" from its first moment, before its program listens: so it has to have run for some seconds without a
break, and its TCP ports have to take a connection, from here, as clients' will. One that has none to be asked about
has to run for longer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from netshare.core.health import Probe
from netshare.core.judging import probes_of
from netshare.core.model import CheckKind, Health, HealthCheck, Protocol, Replica, ReplicaState, Service

SETTLE = 3.0
"""Seconds that a replica without a health check has to have run, and answered."""
SETTLE_UNASKED = 10.0
"""Seconds for one that can't even be asked, as one of datagrams only: what docker-rollout waits as well."""

Ask = Callable[[Sequence[Probe]], Mapping[Probe, str | None]]


class Readiness:
    """What is known so far of some replicas of a service; each look adds to it."""

    def __init__(self, ask: Ask, *, agent_probes: bool) -> None:
        """``agent_probes``: what health checks of netshare's say is found out by an agent."""
        self._ask = ask
        self._agent_probes = agent_probes
        self._since: dict[str, float] = {}

    def missing(self, service: Service, replicas: Sequence[Replica], now: float) -> dict[str, str]:
        """Say of each replica, by its id, what it still lacks; of those that are fit nothing."""
        found: dict[str, str] = {}
        wanted = {replica.id: tuple(self._probes(service, replica)) for replica in replicas if _is_well(replica)}
        answers = self._ask([probe for probes in wanted.values() for probe in probes])
        for replica in replicas:
            if (lack := self._lacks(service, replica, wanted.get(replica.id, ()), answers, now)) is not None:
                found[replica.id] = lack
        return found

    def _lacks(
        self,
        service: Service,
        replica: Replica,
        probes: Sequence[Probe],
        answers: Mapping[Probe, str | None],
        now: float,
    ) -> str | None:
        if not _is_well(replica):
            self._since.pop(replica.id, None)
            return replica.reason or str(replica.state)
        for probe in probes:
            if answers[probe] is not None:
                self._since.pop(replica.id, None)
                return f"{probe.endpoint}: {answers[probe]}"
        if not _is_unchecked(service, replica):
            return None
        settle = SETTLE if probes else SETTLE_UNASKED
        left = settle - (now - self._since.setdefault(replica.id, now))
        return f"it has no health check: well if it runs for {settle:g} s" if left > 0 else None

    def _probes(self, service: Service, replica: Replica) -> Sequence[Probe]:
        """List what has to be asked about a replica here, as nobody else does."""
        if service.health.is_probed:
            return () if self._agent_probes else tuple(probes_of(service, replica))
        if not _is_unchecked(service, replica):
            return ()
        has_tcp = any(listener.protocol is Protocol.TCP for listener in replica.endpoints)
        connecting = replace(service, health=HealthCheck(CheckKind.TCP))
        return tuple(probes_of(connecting, replica)) if has_tcp else ()


def _is_well(replica: Replica) -> bool:
    return replica.is_held or replica.state is ReplicaState.READY


def _is_unchecked(service: Service, replica: Replica) -> bool:
    return not service.health.is_probed and replica.health is Health.NONE

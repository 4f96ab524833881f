"""Results as the documents that ``-o json`` prints: names and meanings are a contract, fields are only ever added."""

import math
from collections.abc import Callable, Iterable, Sequence

from netshare.core import checks, parse
from netshare.core.draining import Drain
from netshare.core.judging import is_failing_open
from netshare.core.labelled import Notice
from netshare.core.model import DRAIN, Family, Listener, Replica, Service
from netshare.core.obstacle import Obstacle
from netshare.errors import NetshareError
from netshare.operations.apply import Applied, kind
from netshare.operations.attach import Attached
from netshare.operations.control import Agent
from netshare.operations.detach import Detached
from netshare.operations.doctor import Diagnosis
from netshare.operations.drain import Drained
from netshare.operations.draining import Ended, Left
from netshare.operations.listing import Listing
from netshare.operations.status import ReplicaStatus, ServiceStatus, Status
from netshare.operations.weight import Weighed

Document = dict[str, object]

SCHEMA = 1


def of_error(error: NetshareError) -> Document:
    """Describe what went wrong, and nothing else."""
    return {"schema": SCHEMA, "error": _error(error)}


def of_listing(listing: Listing, driver_of: Callable[[Service], str]) -> Document:
    """Describe the definitions."""
    services = [_service(service, driver_of(service)) for service in listing.services]
    return _services(listing.agent, services, listing.problems) | {
        "notices": [*map(_notice, listing.notices), *({"message": remark} for remark in listing.remarks)]
    }


def of_status(status: Status) -> Document:
    """Describe services and their replicas."""
    document = _services(status.agent, [_with_replicas(item) for item in status.services], status.problems)
    return document | {
        "obstacles": [_obstacle(each) for each in status.obstacles],
        "notices": [_notice(each) for each in status.notices],
    }


def of_diagnosis(diagnosis: Diagnosis) -> Document:
    """Describe every check."""
    checks = [{"about": c.about, "verdict": c.verdict, "seen": c.seen, "mend": c.mend} for c in diagnosis.checks]
    return {"schema": SCHEMA, "ok": diagnosis.is_well, "checks": checks}


def of_attached(attached: Attached, status: Status) -> Document:
    """Describe the service that was attached, as it stands."""
    return of_status(status) | {"changed": attached.changed, "warnings": list(attached.warnings)}


def of_detached(detached: Detached) -> Document:
    """Describe what went and what stayed."""
    return {
        "schema": SCHEMA,
        "name": detached.name,
        "removed": [_listener(listener) for listener in detached.removed],
        "listeners": [_listener(listener) for listener in detached.left],
    }


def of_applied(applied: Applied, *, is_dry: bool) -> Document:
    """Describe what became of each service, or would; ``before`` and ``after`` are as in a file."""
    from netshare.store.services_file import fields  # pydantic takes 0.1 s to import

    services = [
        {
            "name": change.name,
            "change": kind(change).value,
            "before": None if change.before is None else fields(change.before),
            "after": None if change.after is None else fields(change.after),
        }
        for change in applied.changes
    ]
    return {
        "schema": SCHEMA,
        "dry_run": is_dry,
        "changed": applied.is_change,
        "services": services,
        "warnings": list(applied.warnings),
    }


def of_weighed(weighed: Weighed) -> Document:
    """Describe the weights of a service's replicas after a change."""
    return {
        "schema": SCHEMA,
        "name": weighed.service,
        "replica": weighed.replica,
        "weight": weighed.weight,
        "weights": dict(weighed.shares),
        "changed": weighed.changed,
    }


def of_drained(drained: Drained, left: Left, ended: Ended | None, problems: Sequence[NetshareError]) -> Document:
    """Describe a replica that drains, what it has left, and, where it was waited for, how that ended."""
    how = {"how": ended.how.value, "cut": ended.cut, "seconds": round(ended.seconds, 3)} if ended else None
    document: Document = {
        "schema": SCHEMA,
        "name": drained.service,
        "replica": left.replica,
        "connections_active": left.connections,
        "seconds_left": _seconds(left.to_go),
        "changed": drained.changed,
        "ended": how,
        "warnings": list(drained.warnings),
    }
    return document | {"error": _error(problems[0])} if problems else document


def of_resumed(drained: Drained, replica: Replica) -> Document:
    """Describe a replica that was taken in again, as it stands."""
    return {
        "schema": SCHEMA,
        "name": drained.service,
        "replica": replica.name,
        "state": replica.state.value,
        "reason": replica.reason,
        "changed": drained.changed,
        "warnings": list(drained.warnings),
    }


def of_facts(**facts: object) -> Document:
    """Describe a result that is a fact or two."""
    return {"schema": SCHEMA, **facts}


def _services(agent: Agent, services: Iterable[Document], problems: Sequence[NetshareError]) -> Document:
    document: Document = {
        "schema": SCHEMA,
        "agent": {"running": agent.is_running, "pid": agent.pid},
        "services": list(services),
    }
    if problems:
        document["error"] = _error(problems[0])
        document["errors"] = [_error(problem) for problem in problems]
    return document


def _service(service: Service, driver: str) -> Document:
    return {
        "name": service.name,
        "strategy": service.strategy.value,
        "driver": driver,
        "source": service.source.value,
        "health": checks.words(service.health),
        "fail": service.fail.value,
        "drain": parse.drain_words(DRAIN if service.drain is None else service.drain),
        "listeners": [_listener(listener) for listener in service.listeners],
    }


def _with_replicas(item: ServiceStatus) -> Document:
    return _service(item.service, item.driver) | {
        "families": ["ipv4" if family is Family.IP else "ipv6" for family in item.families],
        "failing_open": any(is_failing_open(each.replica) for each in item.replicas),
        "replicas": [_replica(replica) for replica in item.replicas],
    }


def _listener(listener: Listener) -> Document:
    return {
        "address": "*" if listener.address is None else str(listener.address),
        "port": listener.port,
        "protocol": listener.protocol.value,
        "to": listener.to,
    }


def _replica(status: ReplicaStatus) -> Document:
    endpoints = [str(endpoint) for endpoint in status.endpoints]
    return {
        "name": status.replica.name,
        "id": status.replica.id,
        "engine": status.replica.engine,
        "endpoint": endpoints[0] if endpoints else None,
        "endpoints": endpoints,
        "state": status.replica.state.value,
        "weight": status.replica.weight,
        "connections_total": status.connections_total,
        "connections_active": status.connections_active,
        "connections_per_second": None if status.rate is None else round(status.rate, 3),
        "reason": status.reason,
        "drain": None if status.drain is None else _drain(status.drain, status.now),
    }


def _drain(drain: Drain, now: float) -> Document:
    """Describe a drain: who wanted it, the seconds until its deadline (none: it has no deadline), and what it cost."""
    return {
        "cause": drain.cause.value,
        "seconds_left": _seconds(drain.to_go(now)),
        "cut": drain.cut,
    }


def _seconds(seconds: float) -> float | None:
    """Write a time that may have no end."""
    return round(seconds, 3) if math.isfinite(seconds) else None


def _obstacle(obstacle: Obstacle) -> Document:
    return {
        "family": obstacle.family.value,
        "where": obstacle.where,
        "message": obstacle.message,
        "hint": obstacle.mend,
        "certain": obstacle.certain,
    }


def _notice(notice: Notice) -> Document:
    return {
        "container": notice.container,
        "engine": notice.engine,
        "service": notice.service,
        "message": notice.reason,
    }


def _error(error: NetshareError) -> Document:
    return {"code": error.code, "message": error.message, "hint": error.hint}

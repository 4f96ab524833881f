"""What `doctor` says of a host: one line a check, each with its mend. Pure: what was seen comes in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from netshare.core.model import Replica, ReplicaState
from netshare.core.obstacle import Obstacle

_CROWDED, _FULL = 0.8, 0.95
"""How full the table of tracked connections may be, before that is worth saying, and before it is wrong."""


class Verdict(StrEnum):
    """How a check came out; only a failure makes `doctor` exit with 1."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what it is about, what was seen, and, unless all is well, what to do."""

    about: str
    verdict: Verdict
    seen: str
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class KernelSettings:
    """Settings of this network namespace that decide about clients' packets.

    ``tracked`` is how many connections are tracked, ``trackable`` how many can be; both 0 where nothing is tracked yet.
    """

    tracked: int
    trackable: int
    strict_interfaces: tuple[str, ...]
    default_routes: int
    bridged_are_filtered: bool


def ok(about: str, seen: str) -> Check:
    """Say that something is as it should be."""
    return Check(about, Verdict.OK, seen)


def failed(about: str, seen: str, mend: str | None) -> Check:
    """Say that something stands in the way."""
    return Check(about, Verdict.FAILED, seen, mend)


def warning(about: str, seen: str, mend: str | None) -> Check:
    """Say that something may stand in the way, or soon will."""
    return Check(about, Verdict.WARNING, seen, mend)


def kernel(refused: Mapping[str, str], tried: Sequence[str]) -> list[Check]:
    """Judge what the kernel was asked to try: each feature on its own line where it is refused, all on one else."""
    checks = [
        failed("kernel", f"{feature}: {why}", "use a kernel of 5.9 or newer with nf_tables and its modules")
        for feature, why in refused.items()
    ]
    return checks or [ok("kernel", f"tried and accepted: {', '.join(tried)}")]


def firewalls(neighbours: Sequence[str], obstacles: Iterable[Obstacle]) -> list[Check]:
    """Say which other firewalls are here, and turn what they drop into checks."""
    checks = [
        Check(each.where, Verdict.FAILED if each.certain else Verdict.WARNING, each.message, each.mend)
        for each in dict.fromkeys(obstacles)
    ]
    here = f" ({'; '.join(neighbours)})" if neighbours else ""
    return checks or [ok("firewalls", f"nothing of others drops connections to replicas{here}")]


def forwarding(missing: Sequence[str], *, is_needed: bool) -> Check:
    """Judge whether netshare's accepting rule stands where others would drop its flows."""
    if missing and is_needed:
        return failed("forwarding", f"netshare's rule is not in its place in {', '.join(missing)}", "netshare sync")
    return ok("forwarding", "netshare's rule stands where it is needed" if is_needed else "nothing is served")


def conntrack(count: int, most: int) -> Check:
    """Judge the head-room of the table of tracked connections: a full one drops new connections."""
    seen = f"{count} of {most} connections tracked"
    mend = f"sysctl -w net.netfilter.nf_conntrack_max={most * 2}, and for good in /etc/sysctl.d"
    if most and count >= _FULL * most:
        return failed("conntrack", seen, mend)
    if most and count >= _CROWDED * most:
        return warning("conntrack", seen, mend)
    return ok("conntrack", seen)


def rp_filter(strict: Sequence[str], default_routes: int) -> Check:
    """Judge the reverse path filter: strict, it drops clients that come by another way than answers would go."""
    if strict and default_routes > 1:
        seen = f"strict on {', '.join(strict)}, and there are {default_routes} default routes"
        return warning("rp_filter", seen, "sysctl -w net.ipv4.conf.all.rp_filter=2, where clients come by both")
    return ok("rp_filter", "lets every client by" if not strict else f"strict on {', '.join(strict)}, one way out")


def agent(pid: int | None, other_version: str | None = None, *, is_needed: bool) -> Check:
    """Judge whether anybody follows replicas as they come and go, and does it as this program would."""
    if other_version is not None:
        mend = "sudo systemctl restart netshare, or start the agent again: no connection is lost"
        return warning(
            "agent", f"running, pid {pid}, as netshare {other_version}, which is not the one installed", mend
        )
    if pid is not None:
        return ok("agent", f"running, pid {pid}")
    if is_needed:
        mend = "sudo netshare agent install (systemd), or sudo netshare agent in the foreground"
        return warning("agent", "not running: replicas that come and go are not followed", mend)
    return ok("agent", "not running, and nothing needs it")


def service(name: str, replicas: Sequence[Replica]) -> Check:
    """Judge whether a service has a replica that takes traffic, and name those that do not, with the reason."""
    about = f"service {name}"
    reasons: dict[str, list[str]] = {}
    for replica in replicas:
        if replica.state is not ReplicaState.READY:
            reasons.setdefault(f"{replica.state}: {replica.reason}", []).append(replica.name)
    out = [f"{', '.join(names)} {reason}" for reason, names in reasons.items()]
    ready = len(replicas) - sum(map(len, reasons.values()))
    if not replicas:
        return failed(about, "no replica: clients are refused", "start one; `netshare status` shows how they are found")
    mend = f"see `netshare status {name}`"
    if not ready:
        return failed(about, "; ".join(out), mend)
    if out:
        return warning(about, f"{ready} of {len(replicas)} ready; {'; '.join(out)}", mend)
    return ok(about, f"{ready} of {len(replicas)} replicas ready")

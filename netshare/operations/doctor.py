"""``doctor``: everything on this host that could stand in the way, looked at for real, each with its mend."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from netshare.core import diagnosis
from netshare.core.diagnosis import Check, KernelSettings, Verdict
from netshare.core.model import NFTABLES, Family, Service
from netshare.core.obstacle import families_served, in_the_way
from netshare.errors import EngineUnreachableError, NetshareError, NotPermittedError
from netshare.host import Host
from netshare.netfilter.rivals import rival
from netshare.operations.control import AgentControl
from netshare.operations.traffic import against_kernel, held_by
from netshare.reconcile import Prepared, prepare


class Examination(Protocol):
    """What can be seen of the kernel, besides rules."""

    def refused(self) -> tuple[Mapping[str, str], Sequence[str]]:
        """Give the features that this kernel refuses, with its words, and all that were tried."""

    def settings(self) -> KernelSettings:
        """Read the settings that decide about clients' packets."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All checks, in the order in which their mends make sense."""

    checks: tuple[Check, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing failed."""
        return all(check.verdict is not Verdict.FAILED for check in self.checks)


def doctor(host: Host, agent: AgentControl, examination: Examination, *, is_permitted: bool) -> Diagnosis:
    """Check everything; changes nothing. Without the right to ask the kernel, what needs none."""
    return Diagnosis(tuple(_checks(host, agent, examination, is_permitted=is_permitted)))


def _checks(host: Host, agent: AgentControl, examination: Examination, *, is_permitted: bool) -> Iterator[Check]:
    yield from _engines(host)
    if not is_permitted:
        mend = "sudo netshare doctor"
        yield diagnosis.failed("permissions", "this user may not ask or program the kernel (CAP_NET_ADMIN)", mend)
        return
    yield diagnosis.ok("permissions", "may program the kernel (CAP_NET_ADMIN)")
    yield from _drivers(host, examination)
    settings = examination.settings()
    yield diagnosis.conntrack(settings.tracked, settings.trackable)
    yield diagnosis.rp_filter(settings.strict_interfaces, settings.default_routes)
    filtered = "pass through netfilter: ports of bridges in use are in hairpin mode"
    yield diagnosis.ok(
        "bridges", f"bridged packets {filtered if settings.bridged_are_filtered else 'pass by netfilter'}"
    )
    served = families_served(host.driver.observe().ruleset)
    # A host that forwards no IPv6 is in nobody's way as long as no replica has an IPv6 address.
    obstacles = in_the_way(host.forwarding.obstacles(), served or {Family.IP})
    yield from diagnosis.firewalls(host.forwarding.neighbours(), obstacles)
    yield diagnosis.forwarding(host.forwarding.missing(), is_needed=bool(served))
    try:
        definitions = host.store.load()
        prepared = prepare(host, definitions)
    except NetshareError as error:
        yield diagnosis.failed("services", error.message, error.hint)
        return
    services = (*definitions.services, *prepared.labelled)
    is_needed = any(not service.is_static for service in services)
    yield diagnosis.agent(agent.pid(), agent.other_version(), is_needed=is_needed)
    yield from _kernel_state(prepared)
    yield from (diagnosis.failed("definitions", error.message, error.hint) for error in definitions.unreadable.values())
    yield from _services(prepared)
    yield from _rivals(host, prepared, services)


def _drivers(host: Host, examination: Examination) -> Iterator[Check]:
    """Look at each driver: whether this host has it, and, where it is in use, what to know of it."""
    offers, default = host.driver.offers, host.driver.name
    in_use = {each.driver for each in host.driver.observe().ruleset.dispatches.values()} | {default}
    for name, offer in offers.items():
        about = f"driver {name}"
        if offer.missing is not None:
            is_needed = name in in_use
            seen = offer.missing.message
            yield diagnosis.failed(about, seen, offer.missing.hint) if is_needed else diagnosis.ok(about, seen)
            continue
        notes = (*offer.limits, *([offer.caution] if offer.caution else [])) if name in in_use else ()
        use = "the default" if name == default else "in use" if name in in_use else "could be used"
        yield diagnosis.ok(about, "; ".join((use, *notes)))
        if name == NFTABLES:
            yield from diagnosis.kernel(*examination.refused())


def _engines(host: Host) -> Iterator[Check]:
    """Ask every engine for its containers, as a reconcile does."""
    for name, engine in host.engines.items():
        try:
            containers = engine.containers()
        except EngineUnreachableError as error:
            is_there = not error.absent
            yield diagnosis.failed(name, error.message, error.hint) if is_there else diagnosis.ok(name, "not here")
        except NotPermittedError as error:
            yield diagnosis.failed(name, error.message, error.hint)
        else:
            hindered = sorted({f"{c.name}: {c.obstacle}" for c in containers if c.obstacle is not None})
            seen = f"answers, {len(containers)} container{'' if len(containers) == 1 else 's'}"
            if hindered and len(hindered) == len(containers):
                yield diagnosis.warning(name, f"{seen}, none within reach: {hindered[0]}", "see `netshare status`")
            else:
                yield diagnosis.ok(name, seen)


def _kernel_state(prepared: Prepared) -> Iterator[Check]:
    """Compare what the kernel holds with what it should hold now."""
    if prepared.change.is_empty:
        yield diagnosis.ok("rules", "the kernel holds what it should")
    elif not prepared.observation.intact and prepared.observation.ruleset.dispatches:
        yield diagnosis.failed("rules", "netshare's table was altered by another hand", "netshare sync")
    else:
        yield diagnosis.warning("rules", "the kernel does not hold yet what it should", "netshare sync")


def _services(prepared: Prepared) -> Iterator[Check]:
    held = held_by(prepared.observation)
    for item in prepared.services:
        yield diagnosis.service(item.service.name, against_kernel(item, held))
    for error in prepared.problems:
        if isinstance(error, EngineUnreachableError):
            kept = ", ".join(sorted(prepared.kept))
            yield diagnosis.failed("services", f"{error.message}; left as they are: {kept}", error.hint)


def _rivals(host: Host, prepared: Prepared, services: Sequence[Service]) -> Iterator[Check]:
    """Look for ports that somebody else has as well: netshare's replicas get their connections all the same."""
    for service in services:
        for listener in service.listeners:
            found = rival(listener, prepared.containers, host.sockets)
            if found is not None:
                mend = f"stop it, or netshare detach {service.name} {listener.port}/{listener.protocol}"
                yield diagnosis.warning(f"port {listener}", f"{found}; {service.name} takes its connections", mend)

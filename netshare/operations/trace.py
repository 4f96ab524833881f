"""``doctor --trace``: the way of one imagined packet through what is installed, up to the first rule that drops it."""

from collections.abc import Iterator, Sequence

from netshare.core import diagnosis
from netshare.core.diagnosis import Check, Verdict
from netshare.core.links import Link, in_use
from netshare.core.model import Endpoint, Family, IPAddress, Protocol
from netshare.core.ruleset import Dispatch, Match, Ruleset
from netshare.host import Host
from netshare.operations.doctor import Diagnosis
from netshare.operations.traffic import held_by

_SEVERAL = 4


def trace(host: Host, client: IPAddress, port: int, protocol: Protocol) -> Diagnosis:
    """Follow a new connection of a client to a port of this host, stage by stage; changes nothing."""
    steps: list[Check] = []
    for step in _steps(host, client, port, protocol):
        steps.append(step)
        if step.verdict is Verdict.FAILED:
            break
    return Diagnosis(tuple(steps))


def _steps(host: Host, client: IPAddress, port: int, protocol: Protocol) -> Iterator[Check]:
    family = Family.of(client)
    observation = host.driver.observe()
    if not observation.intact:
        seen = "netshare's table is not there (nothing was attached yet?), or was altered by another hand"
        yield diagnosis.failed("prerouting", seen, "netshare sync")
        return
    match = _match(observation.ruleset, family, protocol, port)
    if match is None:
        seen = (
            f"no service listens on {port}/{protocol} for {_version(family)}: it goes on as if netshare were not here"
        )
        yield diagnosis.failed("dispatch", seen, f"netshare attach NAME {port}/{protocol}")
        return
    dispatch = held_by(observation).dispatches[match]
    yield diagnosis.ok("prerouting", f"{client} to {match}: a new connection, looked up in services-{family}")
    if dispatch.strategy is None:
        seen = f"{dispatch.service} has no {_version(family)} replica that is ready: refused at once"
        yield diagnosis.failed("refuse", seen, f"see `netshare status {dispatch.service}`")
        return
    yield diagnosis.ok("dispatch", _choice(dispatch))
    links = host.links.list()
    yield from _routes(links, dispatch.slots)
    yield from _forward(host, family)
    yield diagnosis.ok("postrouting", _source(observation.ruleset, client, dispatch.slots))


def _match(ruleset: Ruleset, family: Family, protocol: Protocol, port: int) -> Match | None:
    """Find the listener: that on every address, else one on a single address."""
    found = [m for m in ruleset.dispatches if (m.family, m.protocol, m.port) == (family, protocol, port)]
    return min(found, key=lambda m: (m.address is not None, str(m.address)), default=None)


def _choice(dispatch: Dispatch) -> str:
    endpoints = list(dict.fromkeys(dispatch.slots))
    named = ", ".join(map(str, endpoints[:_SEVERAL])) + (", …" if len(endpoints) > _SEVERAL else "")
    return f"service {dispatch.service}, {dispatch.strategy}: rewritten to one of {len(endpoints)} ({named})"


def _routes(links: Sequence[Link], slots: Sequence[Endpoint]) -> Iterator[Check]:
    """Tell by which interfaces the replicas are reached."""
    used = in_use(links, (endpoint.address for endpoint in slots))
    beyond = sum(not in_use(links, [endpoint.address]) for endpoint in set(slots))
    if used:
        yield diagnosis.ok("route", f"out by {', '.join(sorted({link.interface for link in used}))}")
    if beyond:
        seen = f"{beyond} replica{'s are' if beyond > 1 else ' is'} behind a gateway"
        yield diagnosis.warning("route", seen, "answers must come back through this host, or clients never see them")


def _forward(host: Host, family: Family) -> Iterator[Check]:
    """Name what drops the packet among the forward chains of all firewalls, those that surely do first."""
    missing = host.forwarding.missing()
    if missing:
        seen = f"netshare's accepting rule is not in its place in {', '.join(missing)}: dropped there"
        yield diagnosis.failed("forward", seen, "netshare sync")
    obstacles = [each for each in host.forwarding.obstacles() if each.family is family]
    for each in sorted(obstacles, key=lambda obstacle: not obstacle.certain):
        verdict = Verdict.FAILED if each.certain else Verdict.WARNING
        yield Check("forward", verdict, each.message, each.mend)
    if not obstacles:
        yield diagnosis.ok("forward", "no chain drops it")


def _source(ruleset: Ruleset, client: IPAddress, slots: Sequence[Endpoint]) -> str:
    addresses = [endpoint.address for endpoint in slots]
    if client.is_loopback:
        return "out as the host's own address on that link, as no replica could answer a loopback address"
    if any(client in network and any(address in network for address in addresses) for network in ruleset.hairpins):
        return (
            "out as the host's own address to replicas of the client's own subnet, so that answers come back this way"
        )
    return f"the replica sees the client's own address, {client}"


def _version(family: Family) -> str:
    return "IPv4" if family is Family.IP else "IPv6"

"""The first packet of a connection: what it costs beside the second, with one service installed and with ten thousand.

Every number of services has a bed of its own, and measurements go round them.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address

from netshare.core.model import Endpoint, Protocol
from scripts.benchmarks.bed import Bed, Front, Kind
from scripts.benchmarks.processes import missing, run
from scripts.benchmarks.results import Recorder
from scripts.benchmarks.sides import netshare, rules
from scripts.benchmarks.sides.direct import Tracked

FIRST, SECOND = "first datagram", "second datagram"
NONE, TRACKED = "direct to a replica", "direct, connections tracked"
NFTABLES, IPTABLES = "netshare", "netshare (iptables)"
KUBE, ARTICLE = "nftables in kube-proxy's shape", "iptables by hand (the article's)"
_OTHER_REPLICAS = 3


def at(side: str, services: int) -> str:
    """Name a side at a number of services."""
    return f"{side} @ {services}"


def measure(recorder: Recorder, *, rounds: int | None, log: Callable[[str], None]) -> None:
    """Measure all that can be installed."""
    numbers = (1, 100) if recorder.is_quick else (1, 10, 100, 1_000, 10_000)
    turns, flows = (3, 300) if recorder.is_quick else (rounds or 11, 2_000)
    recorder.say(
        f"""
        Datagrams of new flows, one flow after the other, from the client to a replica and back, both on one
        processor: {flows:,} flows a round, {turns} rounds, which go round the numbers of services. What the
        first takes beyond the second is the cost of finding the service, drawing a replica and setting up NAT;
        the second finds its flow tracked. The service that is asked lies in the middle of the others.
        """
    )
    installers: dict[str, Callable[[Bed, int], None]] = {
        NFTABLES: _netshare("nftables"),
        KUBE: _kube,
        ARTICLE: _article,
        IPTABLES: _netshare("iptables"),  # the last: legacy iptables' tables stay with their host
    }
    if reason := missing("iptables-legacy"):
        recorder.leave_out(IPTABLES, reason)
        log(f"left out: {IPTABLES}: {reason}")
        del installers[IPTABLES]
    with ExitStack() as cleanup:
        beds = {number: cleanup.enter_context(Bed(replicas=1)) for number in numbers}
        plain = cleanup.enter_context(Bed(replicas=1))
        tracked = cleanup.enter_context(Bed(replicas=1))
        cleanup.enter_context(Tracked().serve(tracked))
        for bed in (plain, tracked, *beds.values()):
            bed.pin()
        for side, install in installers.items():
            for number, bed in beds.items():
                log(f"{side}, {number:,} services")
                install(bed, number)
            for _ in range(turns):
                for name, bed in ((NONE, plain), (TRACKED, tracked)):
                    _ask(recorder, at(name, 0), bed, _front(bed).endpoints[0], flows)
                for number, bed in beds.items():
                    _ask(recorder, at(side, number), bed, bed.lab.at(Kind.DATAGRAMS.port), flows)
            for bed in beds.values():
                bed.clear()


def _ask(recorder: Recorder, side: str, bed: Bed, to: Endpoint, flows: int) -> None:
    sent = bed.traffic.first(bed.client, to, flows=flows)
    bed.forget_connections()
    recorder.record(FIRST, side, "µs", sent.first["p50"])
    recorder.record(SECOND, side, "µs", sent.second["p50"])


def _front(bed: Bed) -> Front:
    return next(front for front in bed.fronts(1) if front.kind is Kind.DATAGRAMS)


def _netshare(driver: str) -> Callable[[Bed, int], None]:
    def install(bed: Bed, services: int) -> None:
        directory = bed.log(driver)
        front = _front(bed)
        netshare.define_others(directory, services - 1)
        netshare.define_front(directory, front)
        words = [sys.executable, "-m", "netshare", "sync"]
        run(bed.host, words, environment=netshare.environment(directory, driver))

    return install


def _among(front: Front, services: int) -> list[rules.PortOf]:
    """Put the service that is asked into the middle of others."""
    others = [(front.protocol, port, endpoints) for _, port, endpoints in _others(services - 1)]
    return [*others[: len(others) // 2], (front.protocol, front.port, front.endpoints), *others[len(others) // 2 :]]


def _others(number: int) -> Sequence[rules.PortOf]:
    first = IPv4Address("10.0.0.1")
    return [
        (
            Protocol.UDP,
            netshare.OTHERS_PORT + one,
            tuple(Endpoint(first + one * _OTHER_REPLICAS + replica, 8080) for replica in range(_OTHER_REPLICAS)),
        )
        for one in range(number)
    ]


def _kube(bed: Bed, services: int) -> None:
    run(bed.host, ["nft", "-f", "-"], given=rules.kube_shaped(_among(_front(bed), services)))


def _article(bed: Bed, services: int) -> None:
    lines = [line for port in _among(_front(bed), services) for line in rules.statistic(*port)]
    run(bed.host, ["iptables-restore"], given=rules.restore(lines))

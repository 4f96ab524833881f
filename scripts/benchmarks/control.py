"""The control path: how long a change, or everything, takes to reach the kernel, with few services and with many.

One network namespace holds each number of services, for each side; measurements go round them, so that a busy moment of
the machine hits all alike. Nothing is sent.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from ipaddress import IPv4Address

from netshare.core.diff import diff
from netshare.core.ruleset import Ruleset
from netshare.lab import links
from netshare.lab.namespace import Namespace
from netshare.netfilter.iptables.driver import IptablesDriver
from netshare.netfilter.nftables.driver import NftablesDriver
from netshare.runtime.agent import AgentClient
from scripts.benchmarks.bed import Bed
from scripts.benchmarks.processes import missing, run
from scripts.benchmarks.results import Recorder
from scripts.benchmarks.services import ENDPOINTS, Changing, ports, ruleset
from scripts.benchmarks.sides import netshare, nftlb, rules

CHANGE, CHANGE_CPU, AGAIN, COMPARE = (
    "one endpoint replaced",
    "one endpoint replaced, processor time",
    "one endpoint replaced, back to back",
    "the comparison before it",
)
LOAD = "everything loaded"
RESTART, RESTART_EMPTY = "agent restarted", "agent started, kernel empty"
RECONCILE = "the agent's whole reconcile, one definition changed"
BY_IPTABLES = "netshare (iptables)"
NETSHARE, BY_NFT = "netshare", "netshare's table, by nft -f"
KUBE = "nft -f in kube-proxy's shape"
NFTLB = "nftlb, by its API"
FEW, MOST = 100, 1_000
"""So many services for those to whom more are no matter of seconds."""
CHANGES_OF_AGENT = 4


def at(side: str, services: int) -> str:
    """Name a side at a number of services."""
    return f"{side} @ {services}"


class IptablesSite:
    """Programmed by netshare's iptables driver, which runs iptables-restore."""

    def __init__(self, services: int, cleanup: ExitStack) -> None:
        self.services = services
        self.namespace = _namespace(f"iptables-{services}", cleanup)
        self._driver = IptablesDriver()
        self._before = ruleset(services)
        self._changing = Changing(services)

    def load(self) -> float:
        """Load everything anew."""
        change = diff(Ruleset(), self._before, rebuild=True)
        return timed(lambda: self.namespace.run(self._driver.apply, change))

    def change(self, recorder: Recorder) -> None:
        """Replace one endpoint."""
        after = self._changing.ruleset(self._before, *self._changing.next())
        change = diff(self._before, after)
        seconds = timed(lambda: self.namespace.run(self._driver.apply, change))
        self._before = after
        recorder.record(CHANGE, at(BY_IPTABLES, self.services), "ms", 1000 * seconds)


class NetshareSite:
    """Programmed by netshare's driver over its open socket, as the agent does; and by nft, the same table."""

    def __init__(self, services: int, cleanup: ExitStack) -> None:
        self.services = services
        self.namespace = _namespace(f"netshare-{services}", cleanup)
        self.driver = NftablesDriver()
        cleanup.callback(self.driver.close)
        self.namespace.run(self.driver.generation)
        self.before = ruleset(services)
        self._changing = Changing(services)

    def load(self) -> float:
        """Load everything anew, in one transaction."""
        change = diff(Ruleset(), self.before, rebuild=True)
        return timed(lambda: self.driver.apply(change))

    def load_by_nft(self) -> float:
        """Load the same by nft."""
        text = f"delete table inet netshare\n{self.driver.render(self.before)}"
        return timed(lambda: run(self.namespace, ["nft", "-f", "-"], given=text))

    def change(self, recorder: Recorder) -> None:
        """Replace one endpoint: compare with what is there, and commit the difference."""
        after = self._changing.ruleset(self.before, *self._changing.next())
        began = time.perf_counter()
        change = diff(self.before, after)
        compared, used = time.perf_counter(), time.thread_time()
        self.driver.apply(change)
        committed, spent = time.perf_counter(), time.thread_time()
        self.before = after
        recorder.record(COMPARE, at(NETSHARE, self.services), "ms", 1000 * (compared - began))
        recorder.record(CHANGE, at(NETSHARE, self.services), "ms", 1000 * (committed - compared))
        recorder.record(CHANGE_CPU, at(NETSHARE, self.services), "ms", 1000 * (spent - used))

    def change_back_to_back(self, recorder: Recorder, times: int) -> None:
        """Replace one endpoint by another and back, with nothing compared in between."""
        after = self._changing.ruleset(self.before, *self._changing.next())
        there, back = diff(self.before, after), diff(after, self.before)
        for number in range(2 * times):
            used = time.thread_time()
            self.driver.apply(back if number % 2 else there)
            recorder.record(AGAIN, at(NETSHARE, self.services), "ms", 1000 * (time.thread_time() - used))

    def change_by_nft(self, recorder: Recorder) -> None:
        """Make such a change to the same table by nft."""
        old, new = self._changing.next()
        text = self._changing.by_nft(old, new)
        seconds = timed(lambda: run(self.namespace, ["nft", "-f", "-"], given=text))
        self.before = self._changing.ruleset(self.before, old, new)
        recorder.record(CHANGE, at(BY_NFT, self.services), "ms", 1000 * seconds)


class KubeSite:
    """A chain for each service and one for each endpoint, by nft."""

    def __init__(self, services: int, cleanup: ExitStack) -> None:
        self.services = services
        self.namespace = _namespace(f"kube-{services}", cleanup)
        self._text = rules.kube_shaped(ports(services))
        self._changing = Changing(services)
        run(self.namespace, ["nft", "add", "table", "ip", rules.TABLE])

    def load(self) -> float:
        """Load everything anew, in one transaction."""
        self._changing = Changing(self.services)
        text = f"delete table ip {rules.TABLE}\n{self._text}"
        return timed(lambda: run(self.namespace, ["nft", "-f", "-"], given=text))

    def change(self, recorder: Recorder) -> None:
        """Replace one endpoint."""
        port = self._changing.protocol, self._changing.port, self._changing.endpoints
        text = rules.kube_change(port, *self._changing.next())
        seconds = timed(lambda: run(self.namespace, ["nft", "-f", "-"], given=text))
        recorder.record(CHANGE, at(KUBE, self.services), "ms", 1000 * seconds)


class NftlbSite:
    """A daemon that is told by HTTP."""

    def __init__(self, services: int, bed: Bed, cleanup: ExitStack) -> None:
        self.services = services
        self.namespace = _namespace(f"nftlb-{services}", cleanup)
        cleanup.enter_context(nftlb.daemon(bed, self.namespace))
        self._changing = Changing(services)

    def load(self) -> float:
        """Tell it of all services in one call, when it has forgotten those that it knew."""
        nftlb.call(self.namespace, "DELETE", "/farms")
        address = IPv4Address("198.18.0.1")
        farms = [nftlb.farm(f"service-{port}", address, port, endpoints) for _, port, endpoints in ports(self.services)]
        return timed(lambda: nftlb.call(self.namespace, "PUT", "/farms", {"farms": farms}))

    def change(self, recorder: Recorder) -> None:
        """Give one backend another address."""
        _, new = self._changing.next()
        body = {"farms": [{"name": f"service-{self._changing.port}", "backends": [nftlb.backend("backend-4", new)]}]}
        seconds = timed(lambda: nftlb.call(self.namespace, "PUT", "/farms", body))
        recorder.record(CHANGE, at(NFTLB, self.services), "ms", 1000 * seconds)


OtherSite = KubeSite | NftlbSite | IptablesSite
AnySite = NetshareSite | OtherSite


def measure(recorder: Recorder, *, rounds: int | None, log: Callable[[str], None]) -> None:
    """Measure changes, full loads, and the agent's restart."""
    numbers = (1, 100) if recorder.is_quick else (1, 100, 1_000, 10_000)
    changes, slow_changes, loads = (20, 3, 1) if recorder.is_quick else (200, 20, rounds or 3)
    recorder.say(
        f"""
        {ENDPOINTS} endpoints a service. `netshare` is its driver's commit over the socket that the agent keeps
        open, as its caller sees it ({changes} changes at each number of services); the others are a run of `nft
        -f` or a call of the API ({slow_changes} changes), which is how they are used. {loads} full loads, each
        one transaction.

        Comparing 10,000 services leaves little of what a commit needs in the processor's caches: that, and not work
        that grows with their number, makes the first commit after it dearer. Back to back, the same changes cost the
        same at every number of services.

        The chain-per-service shape is written by this benchmark after kube-proxy's; it is not kube-proxy's own
        output. It and legacy iptables are measured up to {MOST:,} services: with 10,000, nft takes minutes to
        load a chain for each endpoint. nftlb is measured up to {FEW:,}: it takes minutes for {MOST:,}.

        The agent's start is a whole process: Python, reading the definitions, observing, reconciling,
        answering.
        """
    )
    with ExitStack() as cleanup:
        bed = cleanup.enter_context(Bed(replicas=1))
        log(f"netshare and kube-proxy's shape at {', '.join(f'{number:,}' for number in numbers)} services")
        own = [NetshareSite(number, cleanup) for number in numbers]
        kube = [KubeSite(number, cleanup) for number in numbers if number <= MOST]
        api: list[NftlbSite | IptablesSite] = []
        if reason := missing("nftlb"):
            recorder.leave_out(NFTLB, reason)
        else:
            api = [NftlbSite(number, bed, cleanup) for number in numbers if number <= FEW]
        if reason := missing("iptables-legacy"):
            recorder.leave_out(BY_IPTABLES, reason)
        else:
            api += [IptablesSite(number, cleanup) for number in numbers if number <= MOST]
        every: list[AnySite] = [*own, *kube, *api]
        _loads(recorder, every, loads, log)
        _changes(recorder, own, [*kube, *api], changes, slow_changes)
        for number in numbers:
            _agent(recorder, bed, number, loads, log)


def _loads(recorder: Recorder, sites: list[AnySite], loads: int, log: Callable[[str], None]) -> None:
    for number in range(loads):
        for site in sites:
            log(f"load {number + 1} of {loads}: {site.namespace.name}")
            seconds = site.load()
            name = {NetshareSite: NETSHARE, KubeSite: KUBE, NftlbSite: NFTLB, IptablesSite: BY_IPTABLES}[type(site)]
            recorder.record(LOAD, at(name, site.services), "s", seconds)
            if isinstance(site, NetshareSite):
                recorder.record(LOAD, at(BY_NFT, site.services), "s", site.load_by_nft())
                site.load()


def _changes(recorder: Recorder, own: list[NetshareSite], others: list[OtherSite], changes: int, slow: int) -> None:
    every = changes // slow
    for number in range(changes):
        for site in own:
            site.change(recorder)
        if number % every == 0:
            for site in own:
                site.change_by_nft(recorder)
            for other in others:
                other.change(recorder)
    for site in own:
        site.change_back_to_back(recorder, changes // 2)


def _agent(recorder: Recorder, bed: Bed, services: int, times: int, log: Callable[[str], None]) -> None:
    """Start the agent with so many services, again and again, and have it follow a definition that changes."""
    directory = bed.log("agent")
    netshare.define_others(directory, services)
    for measure_name in (RESTART_EMPTY, *([RESTART] * times)):
        log(f"{measure_name}, {services:,} services")
        began = time.perf_counter()
        with netshare.agent(bed, directory):
            recorder.record(measure_name, at(NETSHARE, services), "s", time.perf_counter() - began)
            client = AgentClient(directory / "run")
            for number in range(CHANGES_OF_AGENT):
                netshare.define_other(directory, services // 2, port=9000 + number % 2)
                recorder.record(RECONCILE, at(NETSHARE, services), "s", timed(client.sync))
    bed.clear()


def _namespace(name: str, cleanup: ExitStack) -> Namespace:
    namespace = Namespace(name)
    cleanup.callback(namespace.close)
    namespace.run(links.prepare, ipv6=False)
    return namespace


def timed(function: Callable[[], object]) -> float:
    """Measure a call, in seconds."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began

"""How things stand, gathered when Prometheus asks: replicas, their connections by the kernel's counters, engines.

Series are bounded: beyond a number of replicas only sums are told, and how many were left out. Names come from whoever
may start a container: what could not be printed is escaped, and what is very long is cut.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from netshare.core.draining import Cause
from netshare.core.judging import is_failing_open
from netshare.core.model import ReplicaState, Source
from netshare.core.plan import targets
from netshare.core.ruleset import Target
from netshare.core.words import harmless
from netshare.errors import NetshareError
from netshare.reconcile import Prepared
from netshare.runtime.revision import revision
from netshare.runtime.version import __version__

MOST_REPLICAS = 10_000
"""As many replicas have series of their own: some three megabytes a scrape."""
_LONGEST_NAME = 128
_REPLICA = ("service", "replica", "engine")
_Series = tuple[str, str, str]


class Counting(Protocol):
    """The kernel's counts of connections."""

    def total(self) -> Mapping[Target, int]:
        """Count those that were ever given to each target.

        Raises:
            NetshareError: the kernel does not tell.

        """

    def active(self) -> Mapping[Target, int]:
        """Count those that are open now.

        Raises:
            NetshareError: the kernel does not tell.

        """


class Followed(Protocol):
    """An engine whose events are followed."""

    @property
    def name(self) -> str:
        """``docker`` or ``podman``."""

    @property
    def is_up(self) -> bool:
        """Whether its events are heard just now."""

    @property
    def subscriptions(self) -> int:
        """How often its event stream was opened."""


class Standing(Collector):
    """Gathers when it is asked to; one after the other, as the kernel is asked on one socket."""

    def __init__(
        self,
        prepared: Callable[[], Prepared | None],
        counting: Counting,
        engines: Iterable[Followed],
        *,
        most_replicas: int = MOST_REPLICAS,
    ) -> None:
        """``prepared`` gives what the last reconcile came to."""
        self._prepared = prepared
        self._counting = counting
        self._engines = tuple(engines)
        self._most = most_replicas
        self._lock = Lock()

    def collect(self) -> Iterator[Metric]:
        """Gather everything."""
        with self._lock:
            yield _gauge("build_info", "The version of netshare, and the commit it was built from.", _build(), 1)
            yield from self._of_engines()
            prepared = self._prepared()
            if prepared is not None:
                yield from _of_services(prepared)
                yield from _of_drains(prepared)
                yield from self._of_connections(prepared)

    def _of_engines(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("netshare_engine_up", "Whether an engine's events are heard.", labels=["engine"])
        opened = CounterMetricFamily(
            "netshare_engine_subscriptions", "How often an engine's event stream was opened.", labels=["engine"]
        )
        for engine in self._engines:
            up.add_metric([engine.name], float(engine.is_up))
            opened.add_metric([engine.name], engine.subscriptions)
        yield up
        yield opened

    def _of_connections(self, prepared: Prepared) -> Iterator[Metric]:
        readable = True
        try:
            total, active = self._counting.total(), self._counting.active()
        except NetshareError:
            readable = False
        else:
            yield from self._counted(prepared, total, active)
        words = "Whether the kernel told how many connections there are."
        yield _gauge("connections_readable", words, {}, float(readable))

    def _counted(
        self, prepared: Prepared, total: Mapping[Target, int], active: Mapping[Target, int]
    ) -> Iterator[Metric]:
        found = [(item.service.name, replica) for item in prepared.services for replica in item.replicas]
        given: Counter[_Series] = Counter()
        open_now: Counter[_Series] = Counter()
        for service, replica in found[: self._most]:
            series = service, shown(replica.name), replica.engine
            own = targets(replica)
            given[series] += sum(total.get(target, 0) for target in own)
            open_now[series] += sum(active.get(target, 0) for target in own)
        words = "Connections, or UDP flows, that a replica was given since it came or the table was rebuilt."
        yield _family(CounterMetricFamily("netshare_replica_connections", words, labels=_REPLICA), given)
        words = "Connections, or UDP flows, of a replica that are open now."
        yield _family(GaugeMetricFamily("netshare_replica_connections_active", words, labels=_REPLICA), open_now)
        words = "Replicas that have no series of their own, since there are so many."
        yield _gauge("replicas_left_out", words, {}, max(0, len(found) - self._most))


def _build() -> dict[str, str]:
    found = revision()
    return {"version": __version__, "revision": found.commit if found else ""}


def _of_services(prepared: Prepared) -> Iterator[Metric]:
    words = "Services, by what made them."
    services = GaugeMetricFamily("netshare_services", words, labels=["source"])
    sources = Counter(item.service.source for item in prepared.services)
    for source in Source:
        services.add_metric([source.value], sources[source])
    yield services
    words = "Services that stay as the kernel has them: their engine is silent, or their definition can't be read."
    yield _gauge("services_kept", words, {}, len(prepared.kept))
    replicas = GaugeMetricFamily("netshare_replicas", "Replicas, by their state.", labels=["service", "state"])
    failing_open = GaugeMetricFamily(
        "netshare_service_failing_open",
        "Whether a service gives connections to unhealthy replicas, as it has no others.",
        labels=["service"],
    )
    for item in prepared.services:
        states = Counter(replica.state for replica in item.replicas)
        for state in ReplicaState:
            replicas.add_metric([item.service.name, state.value], states[state])
        failing_open.add_metric([item.service.name], float(any(map(is_failing_open, item.replicas))))
    yield replicas
    yield failing_open
    yield _gauge("problems", "What could not be read at the last reconcile.", {}, len(prepared.problems))
    yield _gauge("notices", "Labels of containers that could not be followed.", {}, len(prepared.notices))
    yield _gauge("obstacles", "Other firewalls' rules that drop connections to replicas.", {}, len(prepared.obstacles))


def _of_drains(prepared: Prepared) -> Iterator[Metric]:
    drains = GaugeMetricFamily("netshare_drains", "Replicas that drain, by who wanted it.", labels=["cause"])
    causes = Counter(drain.cause for drain in prepared.drains)
    for cause in Cause:
        drains.add_metric([cause.value], causes[cause])
    yield drains


def _gauge(name: str, words: str, labels: Mapping[str, str], value: float) -> Metric:
    family = GaugeMetricFamily(f"netshare_{name}", words, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _family(
    family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[_Series, int]
) -> CounterMetricFamily | GaugeMetricFamily:
    for series, value in values.items():
        family.add_metric(series, value)
    return family


def shown(name: str) -> str:
    """Make a name a label's value: printable, so that it can also be encoded, and not too long."""
    safe = harmless(name)
    return safe if len(safe) <= _LONGEST_NAME else f"{safe[: _LONGEST_NAME - 1]}…"

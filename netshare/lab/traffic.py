"""Traffic for the lab: many requests, each on a connection of its own, and what became of them."""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count, pairwise
from types import TracebackType
from typing import Self

from netshare.core.model import Endpoint, IPAddress, Protocol
from netshare.lab.conversation import Answer, Conversation, FailureKind, failure_kind
from netshare.lab.namespace import Namespace


@dataclass(frozen=True, slots=True)
class Failure:
    """A request without an answer; ``at`` is when it failed, in seconds from the beginning of the traffic."""

    at: float
    kind: FailureKind


@dataclass(frozen=True, slots=True)
class Traffic:
    """What became of some requests: answers by replica, the client addresses that replicas saw, failures.

    ``longest_gap`` is the longest time in which no answer came, in seconds; ``slowest`` is the longest that one request
    took to its answer: a lost first packet is sent again only after a second, and shows here.
    """

    answers: Mapping[str, int]
    clients: frozenset[IPAddress]
    failures: tuple[Failure, ...]
    seconds: float
    longest_gap: float
    slowest: float

    @property
    def requests(self) -> int:
        """All requests, answered or not."""
        return sum(self.answers.values()) + len(self.failures)

    @property
    def failures_by_kind(self) -> Mapping[FailureKind, int]:
        """How many requests failed in which way."""
        return Counter(failure.kind for failure in self.failures)


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it was sent, when it was over, and how."""

    began: float
    ended: float
    outcome: Answer | FailureKind


class Load:
    """Requests from a namespace to an endpoint, in the background, from when it is made.

    At most ``total`` of them, at most ``concurrency`` at once, at most ``rate`` a second (``None``: as fast as it can).
    """

    def __init__(
        self,
        namespace: Namespace,
        to: Endpoint,
        *,
        total: int,
        rate: float | None = None,
        concurrency: int = 16,
        protocol: Protocol = Protocol.TCP,
        timeout: float = 2.0,
    ) -> None:
        self._namespace = namespace
        self._to = to
        self._total = total
        self._interval = 0.0 if rate is None else 1 / rate
        self._protocol = protocol
        self._timeout = timeout
        self._numbers = count()
        self._stopped = threading.Event()
        self._pool = namespace.pool(concurrency, name="load")
        self._began = time.monotonic()
        self._workers = [self._pool.submit(self._work) for _ in range(concurrency)]

    def stop(self) -> Traffic:
        """Send no more, and tell what became of those sent."""
        self._stopped.set()
        return self.wait()

    def wait(self) -> Traffic:
        """Wait until all are sent and answered, and tell what became of them."""
        try:
            requests = list(chain.from_iterable(worker.result() for worker in self._workers))
        finally:
            self._stopped.set()
            self._pool.shutdown(wait=True)
        return summarize(requests, self._began)

    def __enter__(self) -> Self:
        """Return the load, which runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send no more; what was sent is forgotten unless `stop` or `wait` told."""
        self._stopped.set()
        self._pool.shutdown(wait=True)

    def _work(self) -> list[Request]:
        done: list[Request] = []
        for number in self._numbers:
            due = self._began + number * self._interval
            if number >= self._total or self._stopped.wait(max(0.0, due - time.monotonic())):
                break
            began = time.monotonic()
            outcome = self._request()
            done.append(Request(began, time.monotonic(), outcome))
        return done

    def _request(self) -> Answer | FailureKind:
        try:
            with Conversation(self._namespace, self._to, protocol=self._protocol, timeout=self._timeout) as client:
                return client.ask()
        except OSError as error:
            kind = failure_kind(error)
            if kind is None:
                raise
            return kind


def send(
    namespace: Namespace,
    to: Endpoint,
    total: int,
    *,
    concurrency: int = 16,
    protocol: Protocol = Protocol.TCP,
    timeout: float = 2.0,
) -> Traffic:
    """Send that many requests from a namespace as fast as they go, and tell what became of them."""
    load = Load(namespace, to, total=total, concurrency=concurrency, protocol=protocol, timeout=timeout)
    return load.wait()


def summarize(requests: Iterable[Request], began: float) -> Traffic:
    """Sum up requests that may come in any order."""
    ordered = sorted(requests, key=lambda request: request.ended)
    ended = ordered[-1].ended if ordered else began
    answered = [(request, request.outcome) for request in ordered if isinstance(request.outcome, Answer)]
    failures = [Failure(r.ended - began, r.outcome) for r in ordered if isinstance(r.outcome, FailureKind)]
    moments = [began, *(request.ended for request, _ in answered), ended]
    return Traffic(
        answers=Counter(answer.replica for _, answer in answered),
        clients=frozenset(answer.client.address for _, answer in answered),
        failures=tuple(failures),
        seconds=ended - began,
        longest_gap=max(after - before for before, after in pairwise(moments)),
        slowest=max((request.ended - request.began for request, _ in answered), default=0.0),
    )

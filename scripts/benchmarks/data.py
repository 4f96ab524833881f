"""The data path: how fast requests, connections, bytes and datagrams get through each side, and what that costs.

Sides take turns within a round, in an order that differs from round to round, so that a busy moment of the machine hits
all alike; nothing of one side is up while another is measured. All figures are compared with the client that connects
to a replica directly, in the same round.
"""

import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from netshare.core.model import Endpoint
from netshare.lab.namespace import Namespace
from scripts.benchmarks import processes
from scripts.benchmarks.bed import Bed, Kind, Served
from scripts.benchmarks.processes import BenchmarkError, Spent, run
from scripts.benchmarks.results import Recorder
from scripts.benchmarks.sides import MANY, sides
from scripts.benchmarks.sides.side import Side

NEW, KEEP = "new connections", "keep-alive requests"
P50, P99 = "latency p50", "latency p99"
BYTES, DATAGRAMS = "throughput", "datagrams with replies"
CPU_NEW, CPU_KEEP = "processor time per 1,000 new connections", "processor time per 1,000 keep-alive requests"
IN_KERNEL, OF_WAY = "in the kernel", "of the host's processes"
"""Parts of that."""
MEMORY = "memory"

CONNECTIONS = 32
FLOWS = 64
RATE = 1_000


def part(measure: str, share: str) -> str:
    """Name a part of a measure."""
    return f"{measure}, {share}"


@dataclass(frozen=True, slots=True)
class Settings:
    """How long, and how often."""

    rounds: int
    wrk_seconds: int
    seconds: float
    bulk: tuple[str, str]
    services: int

    @classmethod
    def of(cls, *, quick: bool, rounds: int | None) -> "Settings":
        """Give those of a smoke test, or those of a measurement."""
        if quick:
            return cls(rounds or 1, 1, 0.3, ("--bytes", "64M"), 100)
        return cls(rounds or 5, 1, 1.0, ("--time", "1"), MANY)


def measure(recorder: Recorder, *, rounds: int | None, log: Callable[[str], None]) -> None:
    """Measure every side that this machine has."""
    settings = Settings.of(quick=recorder.is_quick, rounds=rounds)
    recorder.say(
        f"""
        {settings.rounds} rounds; every side is up for its own turn only. Client, host and replicas share the
        machine's processors, so what a side takes is missing to the others: that is what the rates show.

        Rates: wrk, one thread, {CONNECTIONS} connections, {settings.wrk_seconds} s. Latency: {RATE:,} requests
        a second over kept connections, each counted from when it was due (an open loop), so that a stall counts
        for all that it delayed. Throughput: iperf3, one connection. Datagrams: {FLOWS} flows, one datagram
        under way in each.

        Processor time (CPU), milliseconds per 1,000 requests: of the client, of all processes of host and
        replicas, and of ksoftirqd, in user space and in the kernel. What the kernel does for a packet in an
        interrupt counts for whom it interrupts (this kernel accounts so), which is nearly always one of these.
        What lies beyond `direct` is what the way in between costs; `kernel` is the kernel's share of all,
        `proxy` what the host's own processes take of it, in both. Memory: of the host's processes, what several
        share counted once.

        HTTP proxies keep their connections to replicas open: what a replica takes to accept and to close one, a
        good part of what `direct` costs, is saved where each request comes on a new connection. That is how they can
        be ahead there.

        All replicas are one nginx, which has a socket in each one's namespace: the number of replicas changes
        the way to them and nothing else.
        """
    )
    present = []
    for side in sides(many=settings.services):
        reason = side.lacks()
        if reason is None:
            present.append(side)
        else:
            recorder.leave_out(side.name, reason)
            log(f"left out: {side.name}: {reason}")
    with Bed() as bed:
        for number in range(settings.rounds):
            order = random.Random(number).sample(present, len(present))  # noqa: S311 (an order, no secret)
            for place, side in enumerate(order, 1):
                log(f"round {number + 1} of {settings.rounds}, {place} of {len(order)}: {side.name}")
                try:
                    _turn(bed, side, settings, recorder)
                finally:
                    bed.clear()


def _turn(bed: Bed, side: Side, settings: Settings, recorder: Recorder) -> None:
    with side.serve(bed) as served:
        for kind in served.at:
            _await(bed, served, kind)
        turn = Turn(served)
        web = served.at[Kind.WEB]
        for rate, processor, keep in ((NEW, CPU_NEW, False), (KEEP, CPU_KEEP, True)):
            before = turn.processor()
            requests = wrk(served.client, web, settings.wrk_seconds, keep=keep)
            took = [now - then for now, then in zip(turn.processor(), before, strict=True)]
            recorder.record(rate, side.name, "1/s", requests.rate)
            for what, seconds in turn.parts(processor, *took).items():
                recorder.record(what, side.name, "ms", 1e6 * seconds / requests.requests)
        paced = bed.traffic.paced(served.client, web, rate=RATE, seconds=settings.seconds, keep=True)
        if paced.failures:
            raise BenchmarkError(f"{side.name}: {paced}")
        recorder.record(P50, side.name, "µs", paced.us["p50"])
        recorder.record(P99, side.name, "µs", paced.us["p99"])
        if Kind.BULK in served.at:
            recorder.record(BYTES, side.name, "Gbit/s", bulk(served.client, served.at[Kind.BULK], settings.bulk))
        if Kind.DATAGRAMS in served.at:
            to = served.at[Kind.DATAGRAMS]
            sent = bed.traffic.datagrams(served.client, to, flows=FLOWS, seconds=settings.seconds)
            recorder.record(DATAGRAMS, side.name, "1/s", sent.replies / sent.seconds)
        recorder.record(MEMORY, side.name, "MiB", processes.memory_mib(served.pids))


class Turn:
    """One side's turn, and what it takes of the processors."""

    def __init__(self, served: Served) -> None:
        self._own = served.pids
        self._others = (*served.replica_pids, *processes.interrupt_threads())

    def processor(self) -> tuple[Spent, Spent]:
        """Look at the processor time that the way's own processes, and all others that take part, have spent."""
        return processes.spent(self._own), processes.spent(self._others) + processes.reaped()

    @staticmethod
    def parts(measure: str, own: Spent, others: Spent) -> dict[str, float]:
        """Name what of it is worth telling."""
        both = own + others
        return {
            measure: both.seconds,
            part(measure, IN_KERNEL): both.kernel,
            part(measure, OF_WAY): own.seconds,
        }


def _await(bed: Bed, served: Served, kind: Kind) -> None:
    """Wait until an answer comes through: some sides take a moment from when they listen."""
    to = served.at[kind]
    deadline = time.monotonic() + processes.PATIENCE
    while time.monotonic() < deadline:
        if kind is Kind.DATAGRAMS:
            if bed.traffic.first(served.client, to, flows=1).flows == 1:
                return
        elif kind is Kind.BULK or not bed.traffic.paced(served.client, to, rate=100, seconds=0.05, keep=False).failures:
            return
        time.sleep(0.05)
    raise BenchmarkError(f"nothing comes through to {to} ({kind})")


@dataclass(frozen=True, slots=True)
class Rate:
    """How many requests were answered, and how many that was a second."""

    requests: int
    rate: float


def wrk(namespace: Namespace, to: Endpoint, seconds: int, *, keep: bool) -> Rate:
    """Send requests as fast as they are answered; a failed one is an error."""
    close = [] if keep else ["--header", "Connection: close"]
    words = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s", *close]
    return read_wrk(run(namespace, [*words, f"http://{to}/"]))


def read_wrk(said: str) -> Rate:
    """Read what wrk prints."""
    requests, rate = re.search(r"(\d+) requests in", said), re.search(r"Requests/sec:\s+([\d.]+)", said)
    if requests is None or rate is None or "Non-2xx" in said or _errors(said) > int(requests[1]) / 100:
        raise BenchmarkError(f"wrk: {said}")
    return Rate(int(requests[1]), float(rate[1]))


def _errors(said: str) -> int:
    line = re.search(r"Socket errors: (.+)", said)
    return 0 if line is None else sum(int(number) for number in re.findall(r"\d+", line[1]))


def bulk(namespace: Namespace, to: Endpoint, how_much: tuple[str, str]) -> float:
    """Send so many bytes over one connection, or for so long; gigabits a second, as they arrived."""
    words = [
        "iperf3",
        "--json",
        "--client",
        str(to.address),
        "--port",
        str(to.port),
        *how_much,
    ]
    return float(json.loads(run(namespace, words))["end"]["sum_received"]["bits_per_second"]) / 1e9


def place(side: str) -> int:
    """Say where tables and plots name a side; one that is no more comes last."""
    names = [one.name for one in sides()]
    return names.index(side) if side in names else len(names)

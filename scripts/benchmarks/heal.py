"""How soon the agent puts back what `nft flush ruleset` took away, and what becomes of the traffic meanwhile.

A client sends requests, a connection for each, and holds some connections open, of which half are busy. Then everything
in nf_tables is flushed, round after round.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from netshare.core.model import Listener, Service, StaticEndpoint
from netshare.lab.conversation import Conversation
from netshare.lab.topology import Lab
from netshare.lab.traffic import Load
from netshare.netfilter.nftables.driver import NftablesDriver
from scripts.benchmarks.bed import Bed
from scripts.benchmarks.processes import run, until
from scripts.benchmarks.results import Recorder
from scripts.benchmarks.sides import netshare

HEALED, FAILED = "flushed until whole again", "requests failed a flush"
SILENT, BUSY = "silent connections that survived", "busy connections that survived"
SIDE = "netshare"
PORT = 80
HELD = 8
RATE = 300.0


def measure(recorder: Recorder, *, rounds: int | None, log: Callable[[str], None]) -> None:
    """Flush it again and again."""
    times = 1 if recorder.is_quick else 2 * (rounds or 5)
    recorder.say(
        f"""
        `nft flush ruleset`, {times} times, under {RATE:g} requests a second, each on a new connection, with {HELD}
        silent and {HELD} busy connections open. New connections are refused until the agent has put everything back.
        """
    )
    with Bed(replicas=3) as bed:
        directory = bed.log("heal")
        endpoints = tuple(StaticEndpoint(one.address, one.server.port) for one in bed.lab.replicas.values())
        netshare.define(directory, Service("web", (Listener(PORT),), endpoints=endpoints))
        with netshare.agent(bed, directory):
            for number in range(times):
                log(f"flush {number + 1} of {times}")
                _Round(bed.lab, recorder)


class _Round:
    """One flush under load; it is measured when it is made."""

    def __init__(self, lab: Lab, recorder: Recorder) -> None:
        self._survived: Counter[str] = Counter()
        with ExitStack() as stack:
            silent = [stack.enter_context(_connection(lab)) for _ in range(HELD)]
            busy = [stack.enter_context(_connection(lab)) for _ in range(HELD)]
            load = stack.enter_context(Load(lab.client.namespace, lab.at(PORT), total=int(RATE * 60), rate=RATE))
            over = threading.Event()
            asking = [threading.Thread(target=self._ask_until, args=(each, over)) for each in busy]
            for thread in asking:
                thread.start()
            time.sleep(0.5)
            recorder.record(HEALED, SIDE, "ms", 1000 * flush(lab))
            time.sleep(0.5)
            over.set()
            for thread in asking:
                thread.join()
            recorder.record(FAILED, SIDE, "", len(load.stop().failures))
            for connection in silent:
                self._note(SILENT, connection)
        for kind in (SILENT, BUSY):
            recorder.record(kind, SIDE, "%", 100 * self._survived[kind] / HELD)

    def _ask_until(self, connection: Conversation, over: threading.Event) -> None:
        try:
            while not over.wait(0.002):
                connection.ask()
        except OSError:
            return
        self._survived[BUSY] += 1

    def _note(self, kind: str, connection: Conversation) -> None:
        try:
            connection.ask()
        except OSError:
            return
        self._survived[kind] += 1


def _connection(lab: Lab) -> Conversation:
    connection = Conversation(lab.client.namespace, lab.at(PORT))
    connection.ask()
    return connection


def flush(lab: Lab) -> float:
    """Flush everything; gives the seconds from its end until the table is whole again."""
    driver = NftablesDriver()
    lab.host.run(driver.observe)
    run(lab.host, ["nft", "flush", "ruleset"])
    flushed = time.perf_counter()
    until(lambda: driver.observe().intact, "what was flushed to be put back")
    healed = time.perf_counter() - flushed
    driver.close()
    return healed

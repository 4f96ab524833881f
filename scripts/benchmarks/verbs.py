"""How long a verb takes from the prompt to its answer, as a whole process."""

import sys
import time
from collections.abc import Callable

from netshare.core.model import Listener, Service, StaticEndpoint
from scripts.benchmarks.bed import Bed
from scripts.benchmarks.processes import run
from scripts.benchmarks.results import Recorder
from scripts.benchmarks.sides import netshare

ANSWER = "prompt to answer"
VERBS = (["--help"], ["version"], ["list"], ["status"], ["status", "-o", "json"], ["rules"], ["sync"])


def measure(recorder: Recorder, *, rounds: int | None, log: Callable[[str], None]) -> None:
    """Run each verb in turn, round after round."""
    times = 1 if recorder.is_quick else 2 * (rounds or 5)
    recorder.say(f"One service of three static replicas, no agent; {times} runs of each verb.")
    with Bed(replicas=3) as bed:
        directory = bed.log("verbs")
        endpoints = tuple(StaticEndpoint(one.address, one.server.port) for one in bed.lab.replicas.values())
        netshare.define(directory, Service("web", (Listener(80),), endpoints=endpoints))
        environment = netshare.environment(directory)
        run(bed.host, [sys.executable, "-m", "netshare", "sync"], environment=environment)
        for number in range(times):
            log(f"round {number + 1} of {times}")
            for words in VERBS:
                began = time.perf_counter()
                run(bed.host, [sys.executable, "-m", "netshare", *words], environment=environment)
                recorder.record(ANSWER, f"netshare {' '.join(words)}", "s", time.perf_counter() - began)

"""What becomes of requests while replicas and balancers come and go: by netshare, and by proxies.

A real dockerd, three containers with nginx, and a client that sends requests at a fixed rate, on new connections and on
kept ones at the same time, while something happens.
"""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from docker.models.containers import Container

from scripts.benchmarks.native import read_paced
from scripts.benchmarks.processes import until
from scripts.benchmarks.results import Recorder
from scripts.benchmarks.ways import ways
from scripts.benchmarks.ways.site import Site
from scripts.benchmarks.ways.way import Running, Way

SCALE_DOWN, KILL, CRASH, ROLLOUT = "scale down", "container killed", "balancer killed", "rollout"
SCENARIOS = (SCALE_DOWN, KILL, CRASH, ROLLOUT)
NEW, KEPT = "on new connections", "on kept connections"
ADDRESS = "client's address at the replica"
RATE = {NEW: 400, KEPT: 200}
REPLICAS = 3
_BEFORE = 0.5
_LONGEST = 60.0


FAILED, SLOWEST = "failed", "slowest"


def measure_of(scenario: str, how: str, what: str) -> str:
    """Name a measure."""
    return f"{scenario}, {how}: {what}"


def measure(recorder: Recorder, *, rounds: int | None, log: Callable[[str], None]) -> None:
    """Let everything happen to every way."""
    times, seconds = (1, 0.5) if recorder.is_quick else (rounds or 3, 3.0)
    recorder.say(
        f"""
        {REPLICAS} containers with nginx, which ends in good order when it is stopped; {RATE[NEW]} requests a second
        each on a new connection, and {RATE[KEPT]} a second on 16 that are kept, from half a second before something
        happens until {seconds:g} s after it, {times} times. Failed is what got no answer, or another than 200, within
        two seconds.

        {SCALE_DOWN.capitalize()}: `docker stop` of one, and nobody is told. {KILL.capitalize()}: SIGKILL to one.
        {CRASH.capitalize()}: SIGKILL to netshare's agent, or to the proxy, which is started again a second later.
        {ROLLOUT.capitalize()}: each of the three is replaced by a new one, which answers before the old one is stopped.
        HAProxy and nginx get a new configuration and reload before each stop, netshare and Traefik follow Docker;
        `drained first` is `netshare drain` before each stop, `netshare rollout` does all of it itself, in one batch.
        """
    )
    present: list[Way] = []
    for way in ways():
        reason = way.lacks()
        if reason is None:
            present.append(way)
        else:
            recorder.leave_out(way.name, reason)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, Site(Path(directory)) as site:
        for number in range(times):
            for way in present:
                log(f"round {number + 1} of {times}: {way.name}")
                _let_happen(recorder, site, way, seconds)


def _let_happen(recorder: Recorder, site: Site, way: Way, seconds: float) -> None:
    replicas = [site.start() for _ in range(REPLICAS)]
    with way.run(site, replicas) as running:
        _await(site, replicas, way)
        said = (site.ask() or "").split()
        seen = 1.0 if said[1:2] == [site.client_address] else 0.5 if site.client_address in said[2:] else 0.0
        recorder.record(ADDRESS, way.name, "", seen)
        for scenario in SCENARIOS if way.does_all else (ROLLOUT,):
            with _load(recorder, site, way.name, scenario):
                gone = _happen(scenario, site, running, replicas)
                time.sleep(seconds)
            for one in gone:
                _replace(site, running, replicas, one)
            _await(site, replicas, way)
    site.clear()


def _happen(scenario: str, site: Site, running: Running, replicas: list[Container]) -> list[Container]:
    """Let it happen; gives the replicas that are gone for good."""
    if scenario == CRASH:
        running.kill()
        return []
    if scenario == ROLLOUT:
        if running.roll_out():
            replicas[:] = site.replicas()
            return []
        for old in list(replicas):
            _replace(site, running, replicas, old)
            old.stop()
        return []
    one = replicas[0]
    if scenario == KILL:
        one.kill()
    else:
        one.stop()
    return [one]


def _replace(site: Site, running: Running, replicas: list[Container], old: Container) -> None:
    new = site.start()
    running.replace(old, new)
    replicas[replicas.index(old)] = new


@contextmanager
def _load(recorder: Recorder, site: Site, side: str, scenario: str) -> Iterator[None]:
    """Send requests from before the block begins until after it has ended."""
    sending = {}
    for how, keep in ((NEW, False), (KEPT, True)):
        command = site.traffic.paced_command(
            site.at, rate=RATE[how], seconds=_LONGEST, keep=keep, connections=16 if keep else 256
        )
        sending[how] = site.client.popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    time.sleep(_BEFORE)
    try:
        yield
    finally:
        for process in sending.values():
            process.terminate()
    for how, process in sending.items():
        said, _ = process.communicate(timeout=30)
        became = read_paced(said)
        recorder.record(measure_of(scenario, how, FAILED), side, "", became.failures)
        recorder.record(measure_of(scenario, how, SLOWEST), side, "ms", became.us["max"] / 1000)


def _await(site: Site, replicas: list[Container], way: Way) -> None:
    """Wait until these and no others answer."""
    names = {str(replica.name) for replica in replicas}
    until(lambda: site.answered() == names, f"{way.name} to know its replicas")

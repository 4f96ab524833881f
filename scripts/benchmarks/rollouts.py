"""Replicas replaced under load, again and again, until many requests have been sent: by `netshare rollout`, or without.

As in `behaviour`: a real dockerd, containers with nginx, a client in a namespace of its own. There every way of doing
it has a few seconds; here netshare's has to show that of 100,000 requests none fails.
"""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scripts.benchmarks import behaviour
from scripts.benchmarks.native import Paced, read_paced
from scripts.benchmarks.processes import BenchmarkError
from scripts.benchmarks.results import Recorder
from scripts.benchmarks.ways.composed import Project, composes
from scripts.benchmarks.ways.netshare import NetshareWay, Running
from scripts.benchmarks.ways.site import Site

NEW, KEPT = behaviour.NEW, behaviour.KEPT
SENT, FAILED, REPEATED, SLOWEST, TIMES = "sent", "failed", "repeated", "slowest answer", "times"
HOWS = (NEW, KEPT)
VERB = "netshare rollout"
REQUESTS = 100_000
_RATE = 500
_KEPT_CONNECTIONS = 32
_PATIENCE = 10
_DRAIN = "3s"
_BROKEN = "bench-broken"
_SCALED = 6


@dataclass(frozen=True, slots=True)
class Case:
    """Something that is done to so many replicas, of a project if there is one, as long as the load lasts."""

    name: str
    once: Callable[[Site, Running], None]
    replicas: int = 3
    project: Project | None = None


def measure_of(how: str, what: str) -> str:
    """Name a measure."""
    return f"{how}: {what}"


def measure(recorder: Recorder, *, rounds: int | None, log: Callable[[str], None]) -> None:
    """Do each thing under the same load."""
    requests = _RATE if recorder.is_quick else REQUESTS * (rounds or 1)
    here = ", ".join(f"{each.name} ({each.version})" for each in composes())
    recorder.say(
        f"""
        Each row is under the same load, from another network namespace: {_RATE} requests a second each on a new
        connection and {_RATE} a second on {_KEPT_CONNECTIONS} that are kept and made anew when they are closed, at
        fixed times, until {requests:,} have been sent in all. What is done is done again and again meanwhile, as often
        as it says. Failed is what got no answer, or another than 200, within {_PATIENCE} seconds. A request whose kept
        connection was closed before the first byte of an answer is sent once more, as HTTP's clients do (RFC 9112,
        9.3.1), and counted as repeated.

        The first row tells what the machine itself makes of such a load. The containers' nginx ends in good order when
        it is stopped (SIGQUIT), in the last row at once (SIGTERM).
        Rollouts replace a quarter of the replicas at a time, each drained for {_DRAIN} at most. All rows have the
        agent running. Compose here: {here or "none"}.
        """
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, Site(Path(directory)) as site:
        site.add_image(_BROKEN, ["/usr/sbin/nginx", "-c", "/not-there.conf"])
        for case in _cases(site, quick=recorder.is_quick):
            log(case.name)
            times, became = _under_load(site, case, requests)
            recorder.record(TIMES, case.name, "", times)
            for how, paced in became.items():
                recorder.record(measure_of(how, SENT), case.name, "", paced.due)
                recorder.record(measure_of(how, FAILED), case.name, "", paced.failures)
                recorder.record(measure_of(how, REPEATED), case.name, "", paced.repeated)
                recorder.record(measure_of(how, SLOWEST), case.name, "ms", paced.us["max"] / 1000)
            log(f"{case.name}, {times} times: {', '.join(map(_said, became, became.values()))}")
            site.clear()


def _said(how: str, paced: Paced) -> str:
    failed = (
        f" ({', '.join(f'{count} {why}' for why, count in paced.failed.items() if count)})" if paced.failures else ""
    )
    return f"{paced.failures} of {paced.due:,} failed{failed} {how}, {paced.repeated} repeated"


def _cases(site: Site, *, quick: bool) -> Iterator[Case]:
    yield Case("nothing happens", _wait)
    batch = ("--batch", "3") if quick else ()
    for replicas in (3,) if quick else (3, 10):
        yield Case(f"{VERB}, {replicas} replicas", partial(_roll, batch), replicas)
    yield Case(f"{VERB} to a broken image, taken back", _roll_to_a_broken_image)
    for compose in composes()[:1] if quick else composes():
        project = Project(compose, site)
        yield Case(f"{VERB}, {compose.name}", partial(_roll, batch), project=project)
        yield Case(f"{compose.name}: up --scale web={_SCALED}, then 3", partial(_scale, project), project=project)
    yield Case("docker stop and start, one by one", partial(_restart, "SIGQUIT"))
    yield Case("the same, of servers that end at once", partial(_restart, "SIGTERM"))


def _wait(_: Site, __: Running) -> None:
    time.sleep(1)


def _roll(batch: Sequence[str], _: Site, running: Running) -> None:
    running.verb("rollout", "web", *batch, "--drain", _DRAIN)


def _roll_to_a_broken_image(_: Site, running: Running) -> None:
    try:
        running.verb("rollout", "web", "--image", _BROKEN)
    except BenchmarkError as error:
        if "was taken back: " not in str(error):
            raise
    else:
        raise BenchmarkError("a rollout to a broken image ended well")


def _scale(project: Project, _: Site, __: Running) -> None:
    project.scale(_SCALED)
    project.scale(3)


def _restart(signal: str, site: Site, _: Running) -> None:
    for container in site.replicas():
        container.kill(signal)
        container.wait()
        container.start()


def _under_load(site: Site, case: Case, requests: int) -> tuple[int, Mapping[str, Paced]]:
    """Do it until so many requests have been sent; gives how often that was, and what became of the requests."""
    if case.project is not None:
        case.project.scale(case.replicas)
    replicas = site.replicas() if case.project else [site.start() for _ in range(case.replicas)]
    with NetshareWay().run(site, replicas) as running:
        seconds = requests / (len(HOWS) * _RATE)
        sending = {how: _send(site, keep=how == KEPT) for how in HOWS}
        began, times = time.monotonic(), 0
        try:
            while times == 0 or time.monotonic() - began < seconds + 1:
                case.once(site, running)
                times += 1
            time.sleep(1)  # what fails at the end, too
        finally:
            for process in sending.values():
                process.terminate()
        return times, {how: read_paced(process.communicate(timeout=30)[0]) for how, process in sending.items()}


def _send(site: Site, *, keep: bool) -> "subprocess.Popen[str]":
    command = site.traffic.paced_command(
        site.at,
        rate=_RATE,
        seconds=3600,
        keep=keep,
        connections=_KEPT_CONNECTIONS if keep else 4096,
        again=keep,
        patience=_PATIENCE,
    )
    process: subprocess.Popen[str] = site.client.popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    return process

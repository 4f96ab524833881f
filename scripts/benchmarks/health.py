"""How soon an unhealthy replica leaves the rotation, and what it costs to look.

A lab of network namespaces, the agent as it runs on a host, and beside each replica a server that can be told to fail,
which the checks ask.
"""

import random
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from pyroute2 import IPRoute

from netshare.lab.topology import LabReplica
from netshare.lab.traffic import Load
from scripts.benchmarks import processes
from scripts.benchmarks.bed import Bed
from scripts.benchmarks.commits import Commits
from scripts.benchmarks.processes import Process, run
from scripts.benchmarks.results import Recorder
from scripts.benchmarks.sides import netshare
from tests.netns.wards import Ward, hang, status

LEAVE, FAILED, COST = "began to fail until out of rotation", "requests failed meanwhile", "processor time of the agent"
PORT = 9000
INTERVAL, TIMEOUT, FALL = 0.5, 0.25, 3
RATE = 200
MANY = IPv4Address("10.77.0.0")
_SETTLED = 5.0


def measure(recorder: Recorder, *, rounds: int | None, log: Callable[[str], None]) -> None:
    """Let replicas fail in each way, then count what checks cost."""
    runs, seconds, counts = (1, 1.0, [3]) if recorder.is_quick else (rounds or 5, 10.0, [3, 300])
    recorder.say(
        f"""
        Checks every {INTERVAL * 1000:.0f} ms, with {TIMEOUT * 1000:.0f} ms to answer, {FALL} failures to be out: so
        {FALL * INTERVAL * 1000:.0f} ms and what it takes to notice are the goal. {runs} times each, under {RATE} new
        connections a second; a replica's own port stays up, only its check fails. Processor time: in per cent of one,
        over {seconds:g} s in which nothing happens but checks, one every two seconds an endpoint.
        """
    )
    with Bed(replicas=3) as bed:
        directory = bed.log("health")
        with netshare.agent(bed, directory) as agent:
            _leave(recorder, bed, directory, runs, log)
            _cost(recorder, bed, directory, agent, counts, seconds, log)


def _verb(bed: Bed, directory: Path, *words: str) -> None:
    run(bed.host, [sys.executable, "-m", "netshare", *words], environment=netshare.environment(directory))


@contextmanager
def _wards(bed: Bed) -> Iterator[dict[str, Ward]]:
    """Let a server beside each replica's own tell that all is well."""
    well = status("200 OK")
    found = {name: Ward(replica.namespace, PORT, well) for name, replica in bed.lab.replicas.items()}
    yield found
    for ward in found.values():
        ward.stop()


def _leave(recorder: Recorder, bed: Bed, directory: Path, runs: int, log: Callable[[str], None]) -> None:
    lab = bed.lab
    endpoints = [word for replica in lab.replicas.values() for word in ("--endpoint", str(replica.address))]
    how = ["--interval", f"{INTERVAL}s", "--health-timeout", f"{TIMEOUT}s", "--rise", "1", "--fall", str(FALL)]
    commits, well = Commits(bed.host), status("200 OK")
    with _wards(bed) as found:
        _verb(bed, directory, "attach", "web", "80", "--to", "8080", *endpoints, "--health", f"http:{PORT}/up", *how)
        for kind, behaviour in (("an HTTP error", status("500 Out Of Order")), ("refused", None), ("hanging", hang)):
            for number in range(runs):
                log(f"{kind}, {number + 1} of {runs}")
                name, replica = list(lab.replicas.items())[number % len(lab.replicas)]
                time.sleep(2 * INTERVAL + random.random() * INTERVAL)  # noqa: S311 (no secret: any time in the interval)
                with Load(bed.client, lab.at(80), total=10_000, rate=RATE) as load:
                    began = time.time_ns()
                    _fail(found[name], behaviour)
                    recorder.record(LEAVE, kind, "ms", (commits.first(began) - began) / 1e6)
                    time.sleep(0.2)
                    recorder.record(FAILED, kind, "", len(load.stop().failures))
                back = time.time_ns()
                if behaviour is None:
                    found[name] = Ward(replica.namespace, PORT, well)
                found[name].behaviour = well
                commits.first(back)
        _verb(bed, directory, "detach", "web")


def _fail(ward: Ward, behaviour: Callable[[socket.socket], None] | None) -> None:
    if behaviour is None:
        ward.stop()
    else:
        ward.behaviour = behaviour


def _cost(
    recorder: Recorder,
    bed: Bed,
    directory: Path,
    agent: Process,
    counts: Sequence[int],
    seconds: float,
    log: Callable[[str], None],
) -> None:
    recorder.record(COST, "no checks", "%", _share(agent, seconds))
    replica: LabReplica = next(iter(bed.lab.replicas.values()))
    replica.namespace.run(_take_in)
    bed.host.run(_route, str(replica.address))
    ward = Ward(replica.namespace, PORT, status("200 OK"))
    for check in ("tcp", "http:/up"):
        for count in counts:
            log(f"{count} endpoints, {check}")
            endpoints = [word for number in range(1, count + 1) for word in ("--endpoint", str(MANY + number))]
            _verb(bed, directory, "attach", "many", "81", "--to", str(PORT), *endpoints, "--health", check)
            time.sleep(min(_SETTLED, seconds))
            recorder.record(COST, f"{count} endpoints, {check.partition(':')[0]}", "%", _share(agent, seconds))
            _verb(bed, directory, "detach", "many")
    ward.stop()


def _share(agent: Process, seconds: float) -> float:
    before = processes.spent([agent.pid])
    time.sleep(seconds)
    return 100 * (processes.spent([agent.pid]) - before).seconds / seconds


def _take_in() -> None:
    with IPRoute() as netlink:
        loopback = netlink.link_lookup(ifname="lo")[0]
        netlink.route("add", dst=f"{MANY}/16", type="local", oif=loopback, table=255, scope="host")


def _route(gateway: str) -> None:
    with IPRoute() as netlink:
        netlink.route("add", dst=f"{MANY}/16", gateway=gateway)

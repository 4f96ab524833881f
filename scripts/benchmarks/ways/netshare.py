"""netshare: attached once, and its agent, which follows Docker."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from docker.models.containers import Container

from netshare.runtime.agent import AgentClient
from scripts.benchmarks.processes import Process, run, until
from scripts.benchmarks.sides import netshare
from scripts.benchmarks.ways.site import PORT, REPLICA_PORT, Site
from scripts.benchmarks.ways.supervised import Supervised


class _Running(Supervised):
    def replace(self, old: Container, new: Container) -> None:
        """Nothing is to be said: Docker's events do."""


class NetshareWay:
    """`netshare attach`, `netshare agent`."""

    name = "netshare"

    def lacks(self) -> str | None:
        """Nothing is needed."""
        return None

    @contextmanager
    def run(self, site: Site, replicas: Sequence[Container]) -> Iterator[_Running]:
        """Run the agent."""
        directory = site.directory / "netshare"
        directory.mkdir(exist_ok=True)
        environment = netshare.environment(directory, engine=site.url)

        def start() -> Process:
            words = [sys.executable, "-m", "netshare", "agent"]
            process = Process(site.host, words, directory / "agent.log", environment=environment)
            process.wait_until(lambda: netshare.is_synced(directory))
            return process

        def verb(*words: str) -> None:
            run(site.host, [sys.executable, "-m", "netshare", *words], environment=environment)

        verb("attach", "web", str(PORT), "--to", str(REPLICA_PORT), "--engine", "docker")
        running = _Running(start)
        try:
            until(lambda: len(site.answered()) == len(replicas), "netshare to know its replicas")
            yield running
        finally:
            if AgentClient(directory / "run").pid() is not None:
                running.stop()
            verb("detach", "web")
            verb("reset", "--yes")

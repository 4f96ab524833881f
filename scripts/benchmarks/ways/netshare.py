"""netshare: attached once, and its agent, which follows Docker."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from docker.models.containers import Container

from netshare.runtime.agent import AgentClient
from scripts.benchmarks.processes import Process, run, until
from scripts.benchmarks.sides import netshare
from scripts.benchmarks.ways.site import PORT, REPLICA_PORT, Site
from scripts.benchmarks.ways.supervised import Supervised

_LONGEST_VERB = 600.0


class Rollout(Enum):
    """How replicas are replaced."""

    PLAIN = "netshare"
    DRAINED = "netshare, drained first"
    VERB = "netshare rollout"


class Running(Supervised):
    """The agent, and the verbs beside it."""

    def __init__(self, start: Callable[[], Process], verb: Callable[..., None], rollout: Rollout) -> None:
        super().__init__(start)
        self.verb = verb
        self._rollout = rollout

    def replace(self, old: Container, new: Container) -> None:  # noqa: ARG002 (Docker tells of it)
        """Drain the old one; or say nothing, since Docker's events do."""
        if self._rollout is Rollout.DRAINED:
            self.verb("drain", "web", str(old.name))

    def roll_out(self) -> bool:
        """Have the verb do it."""
        if self._rollout is Rollout.VERB:
            self.verb("rollout", "web", "--batch", "3", "--drain", "2s")
        return self._rollout is Rollout.VERB


@dataclass(frozen=True, slots=True)
class NetshareWay:
    """`netshare attach`, `netshare agent`, and one way to replace replicas."""

    rollout: Rollout = Rollout.PLAIN

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.rollout.value

    @property
    def does_all(self) -> bool:
        """In all but the rollout, the others are the same."""
        return self.rollout is Rollout.PLAIN

    def lacks(self) -> str | None:
        """Nothing is needed."""
        return None

    @contextmanager
    def run(self, site: Site, replicas: Sequence[Container]) -> Iterator[Running]:
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
            command = [sys.executable, "-m", "netshare", *words]
            run(site.host, command, environment=environment, seconds=_LONGEST_VERB)

        verb("attach", "web", str(PORT), "--to", str(REPLICA_PORT), "--engine", "docker")
        running = Running(start, verb, self.rollout)
        try:
            until(lambda: len(site.answered(len(replicas))) == len(replicas), "netshare to know its replicas")
            yield running
        finally:
            if AgentClient(directory / "run").pid() is not None:
                running.stop()
            verb("detach", "web")
            verb("reset", "--yes")

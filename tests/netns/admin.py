"""One with root on the lab's host: netshare's verbs, and its agent as a program of its own. No engine answers there."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from netshare import wiring
from netshare.core import parse
from netshare.core.model import NFTABLES, IPAddress, StaticEndpoint, Strategy
from netshare.lab.topology import Lab, LabReplica
from netshare.netfilter.nftables.driver import NftablesDriver
from netshare.netfilter.sockets import ListeningSockets
from netshare.operations.attach import Attached, attach
from netshare.operations.detach import Detached, detach
from netshare.operations.request import AttachRequest
from netshare.runtime.agent import AgentClient
from tests.inside import host_drivers
from tests.netns.waiting import until
from tests.outcome import Done
from tests.terminal import Terminal

_ROOT = Path(__file__).parents[2]
_NETSHARE = (sys.executable, "-P", "-m", "netshare")  # -P: not the one in the working directory
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Agent:
    """A ``netshare agent`` that runs."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def said(self, word: str) -> list[str]:
        """Give the lines of its log that have a word."""
        return [line for line in self.log.read_text(encoding="utf-8").splitlines() if word in line]


class Admin:
    """Definitions and runtime files are in a directory of its own."""

    def __init__(
        self, lab: Lab, directory: Path, driver: str = NFTABLES, code: Path = _ROOT, engine: str | None = None
    ) -> None:
        """``code`` is the directory of the netshare that runs as a program, ``engine`` where a Docker answers it."""
        self.lab = lab
        self._directory = directory
        self._runtime = directory / "run"
        self._native = NftablesDriver()
        self.driver = host_drivers(self._native, driver)
        self._host = replace(wiring.host(directory / "state", self._runtime), engines={}, driver=self.driver)
        self.client = AgentClient(self._runtime)
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(code),
            "DOCKER_HOST": engine or f"unix://{directory}/no.sock",
            **({"CONTAINER_HOST": engine} if engine else {}),  # which is no Podman: so there is none
            "NETSHARE_DRIVER": driver,
            "NETSHARE_STATE_DIR": str(directory / "state"),
            "NETSHARE_RUNTIME_DIR": str(self._runtime),
            "TERM": "xterm-256color",
        }

    def set_default(self, driver: str) -> None:
        """Change the driver of services that name none, for programs that are started from now on."""
        self._environment["NETSHARE_DRIVER"] = driver

    def netshare(self, *words: str) -> Done:
        """Run a verb to its end, whatever that is, as a program of its own."""
        return self.run(*_NETSHARE, *words)

    def run(self, *words: str, **environment: str) -> Done:
        """Run any program to its end, whatever that is."""
        process = self._start(words, environment)
        try:
            out, err = process.communicate(timeout=_PATIENCE)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        return Done(process.returncode, out, err)

    def terminal(
        self, *words: str, size: tuple[int, int] = (120, 24), through: Sequence[str] = (), **environment: str
    ) -> Terminal:
        """Run a verb on a terminal."""
        own, start = self._environment | environment, self.lab.host.popen
        return Terminal(words, start=start, environment=own, size=size, through=through)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a verb whose output is read while it runs."""
        return self._start([*_NETSHARE, *words], {})

    def _start(self, words: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[str]":
        return self.lab.host.popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment | dict(environment),
            text=True,
        )

    def attach(
        self,
        name: str,
        port: str,
        *replicas: LabReplica,
        listen: tuple[IPAddress, ...] = (),
        strategy: Strategy | None = None,
        weights: tuple[tuple[str, int], ...] = (),
    ) -> Attached:
        """Attach replicas of the lab, by their addresses; it must go well."""
        number, protocol = parse.port_and_protocol(port)
        request = AttachRequest(
            name,
            number,
            protocol,
            listen=listen,
            endpoints=self._endpoints(replicas),
            strategy=strategy,
            weights=weights,
        )
        return self.lab.host.run(
            attach, self._host, self.client, ListeningSockets(), request, clock=time, progress=lambda _: None
        )

    def detach(self, name: str, port: str | None = None) -> Detached:
        """Detach, which must go well."""
        where = None if port is None else parse.port_and_protocol(port)
        return self.lab.host.run(detach, self._host, self.client, name, where)

    @contextmanager
    def agent(self, *words: str) -> Iterator[Agent]:
        """Have the agent run, from when it has reconciled once; it must end well, unless it was killed."""
        log = self._directory / "agent.log"
        with log.open("wb") as file:
            process = self.lab.host.popen(
                [*_NETSHARE, "agent", *words], stdin=subprocess.DEVNULL, stderr=file, env=self._environment
            )
        try:
            until(lambda: self.client.pid() == process.pid, timeout=_PATIENCE)
            self.client.sync()
            yield Agent(process, log)
            process.terminate()
            assert process.wait(_PATIENCE) in (0, -signal.SIGKILL), log.read_text(encoding="utf-8")
        finally:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Free what the verbs have opened on the host."""
        self._native.close()

    def _endpoints(self, replicas: Iterable[LabReplica]) -> tuple[StaticEndpoint, ...]:
        own = [endpoint for r in replicas for endpoint in (r.endpoint, *([r.endpoint6] if self.lab.ipv6 else []))]
        return tuple(StaticEndpoint(endpoint.address, endpoint.port) for endpoint in own)

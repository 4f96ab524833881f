"""What an admin does on the lab's host: netshare's verbs and its agent, as programs, and a look at the kernel."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from netshare.errors import NetshareError
from netshare.lab import traffic
from netshare.lab.conversation import Conversation
from netshare.lab.traffic import Load, Traffic
from netshare.netfilter.nftables.driver import NftablesDriver
from netshare.runtime.agent import AgentClient
from tests.docker.hints import eventually
from tests.docker.lab import DockerLab
from tests.outcome import Done

PORT = 80
RULE = (
    "-A DOCKER-USER -m connmark --mark 0x1000000/0x1000000 "
    '-m comment --comment "netshare: connections it balances" -j ACCEPT'
)

_ROOT = Path(__file__).parents[2]
_NETSHARE = (sys.executable, "-m", "netshare")
_PATIENCE = 60.0
_LISTINGS = (
    ("nft", "list", "ruleset"),
    ("iptables-save",),
    ("ip6tables-save",),
    ("iptables-legacy-save",),
    ("ip6tables-legacy-save",),
)
_COUNTS = re.compile(r"(?<=packets )\d+(?= bytes)|(?<=bytes )\d+|\[\d+:\d+\]|(?m:^# (?:Generated|Completed) .*\n)")


class Agent:
    """A `netshare agent` that runs, and has reconciled once, from when it is made."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, client: AgentClient) -> None:
        self.process = process
        self._log = log
        self._client = client
        eventually(self._is_up)

    def sync(self) -> None:
        """Have it reconcile, and wait until it has."""
        self._client.sync()

    def log(self) -> list[str]:
        """Give what it said, line by line."""
        return self._log.read_text(encoding="utf-8").splitlines()

    def applied(self) -> list[str]:
        """Give what it said about changes it made to the kernel."""
        return [line for line in self.log() if line.startswith("INFO apply")]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal, and wait for its end."""
        self.process.send_signal(number)
        return self.process.wait(_PATIENCE)

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            self._client.sync()
        except NetshareError:
            return False
        return True


class Admin:
    """One with root on the lab's host; definitions and runtime files are in a directory of their own."""

    def __init__(self, lab: DockerLab, directory: Path) -> None:
        self.lab = lab
        self.state = directory / "state"
        self.runtime = directory / "run"
        self._logs = directory
        self._agents: list[Agent] = []
        self.environment = {
            **os.environ,
            "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin",
            "PYTHONPATH": str(_ROOT),
            "DOCKER_HOST": lab.url,
            "NETSHARE_STATE_DIR": str(self.state),
            "NETSHARE_RUNTIME_DIR": str(self.runtime),
        }

    # netshare

    def netshare(self, *words: str, prefix: tuple[str, ...] = (), **environment: str) -> Done:
        """Run a verb to its end."""
        return self._run(*prefix, *_NETSHARE, *words, environment=environment)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a verb, and let it run; whoever started it waits for its end."""
        return self.lab.host.popen(
            [*_NETSHARE, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            text=True,
        )

    def run(self, *words: str, **environment: str) -> Done:
        """Run any program to its end."""
        return self._run(*words, environment=environment)

    def attach(self, *words: str) -> Done:
        """Attach ``web`` to port 80, which must go well."""
        done = self.netshare("attach", "web", str(PORT), *words)
        assert done.code == 0, done
        return done

    def status(self) -> dict[str, Any]:
        """Give the replicas of ``web`` by their names."""
        done = self.netshare("status", "web", "-o", "json")
        assert done.code == 0, done
        [service] = done.document["services"]
        return {replica["name"]: replica for replica in service["replicas"]}

    def start_agent(self, **environment: str) -> Agent:
        """Start the agent; `finish` ends it."""
        log = self._logs / f"agent-{len(self._agents)}.log"
        with log.open("wb") as file:
            process = self.lab.host.popen(
                [*_NETSHARE, "agent"], stdin=subprocess.DEVNULL, stderr=file, env=self.environment | environment
            )
        try:
            agent = Agent(process, log, AgentClient(self.runtime))
        except BaseException:
            process.kill()
            process.wait()
            raise
        self._agents.append(agent)
        return agent

    def finish(self) -> None:
        """End the agents that still run, and take everything of netshare's out of the kernel."""
        for agent in self._agents:
            if agent.process.poll() is None:
                agent.end(signal.SIGKILL)
        if "netshare" in "".join(self.firewall().values()):
            assert self.netshare("reset", "--yes").code == 0

    # The kernel

    def tool(self, *words: str) -> str:
        """Run a program on the host, which must go well."""
        done = self._run(*words)
        assert done.code == 0, done
        return done.out

    def firewall(self) -> Mapping[str, str]:
        """List all rules there are, by the tool that lists them; counters and dates are left out."""
        return {
            words[0]: _COUNTS.sub("", self.tool(*words))
            for words in _LISTINGS
            if shutil.which(words[0], path=self.environment["PATH"])
        }

    def generation(self) -> int:
        """Count the commits to nf_tables so far, by whomever."""
        driver = NftablesDriver()
        try:
            return self.lab.host.run(driver.generation)
        finally:
            driver.close()

    def docker_user(self) -> list[str]:
        """List the rules of DOCKER-USER."""
        return [line for line in self.tool("iptables", "-S", "DOCKER-USER").splitlines() if line.startswith("-A")]

    @contextmanager
    def listening(self, port: int) -> Iterator["subprocess.Popen[bytes]"]:
        """Have a process of the host listen on a TCP port."""
        process = self.lab.host.popen(["busybox", "nc", "-l", "-p", str(port)], stdin=subprocess.DEVNULL)
        try:
            eventually(lambda: f":{port} " in self.tool("ss", "-Hltn"))
            yield process
        finally:
            process.kill()
            process.wait()

    # Clients

    def requests(self, total: int, *, timeout: float = 2.0) -> Traffic:
        """Send requests from outside, each on a connection of its own."""
        return traffic.send(self.lab.client, self.lab.at(PORT), total, timeout=timeout)

    def load(self, *, rate: float = 200) -> Load:
        """Send requests from outside in the background, for a minute at most."""
        return Load(self.lab.client, self.lab.at(PORT), total=int(rate * _PATIENCE), rate=rate)

    def talk_to(self, name: str) -> Conversation:
        """Open connections until one is with this replica."""
        while (conversation := self.lab.converse(PORT)).ask().replica != name:
            conversation.close()
        return conversation

    def await_traffic(self, *names: str) -> None:
        """Wait until these and no others answer."""
        eventually(lambda: (sent := self.requests(40)).answers.keys() == set(names) and not sent.failures)

    def killed_at(self, name: str, since: float) -> int:
        """Tell when Docker told of the first signal it sent to a container since then, in nanoseconds since 1970."""
        about = {"type": "container", "container": name, "event": "kill"}
        # The SDK takes whole seconds only; the stream ends when the last of them is over.
        events = self.lab.docker.events(since=int(since), until=int(time.time()) + 1, filters=about, decode=True)
        return next(time_ns for event in events if (time_ns := int(event["timeNano"])) >= since * 1e9)

    def _run(self, *words: str, environment: Mapping[str, str] | None = None) -> Done:
        process = self.lab.host.popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment | dict(environment or {}),
            text=True,
        )
        try:
            out, err = process.communicate(timeout=_PATIENCE)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        return Done(process.returncode, out, err)

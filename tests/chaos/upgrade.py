"""A host whose netshare is replaced while it works, as `pip install` does: the files first, then the agent.

The other release is an earlier revision of this one, or its successor, as far as that can be told: this one with
tables of another schema, of which a part has a name that this one does not know.
"""

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from netshare.core.model import Protocol, StaticEndpoint
from netshare.lab.conversation import Conversation
from netshare.netfilter.iptables import tables
from netshare.netfilter.nftables import chains
from tests.chaos.world import BOUND, DNS, OTHER, WEB, Broken, World

REFUSAL = "a newer netshare made what the kernel holds"
"""What an agent says that meets tables it must not make anew."""
_ROOT = Path(__file__).parents[2]
_CACHES = shutil.ignore_patterns("__pycache__")
_NEXT = (
    ("netfilter/nftables/chains.py", f"SCHEMA = {chains.SCHEMA}", f"SCHEMA = {chains.SCHEMA + 1}"),
    ("netfilter/iptables/tables.py", f"SCHEMA = {tables.SCHEMA}", f"SCHEMA = {tables.SCHEMA + 1}"),
    ("netfilter/nftables/maps.py", 'f"connections-{self.family}"', 'f"counted-{self.family}"'),
)
"""What is other in the successor: a set's name, and so the numbers of the schema."""


def this_release(to: Path) -> Path:
    """Give this netshare, as a directory for PYTHONPATH."""
    shutil.copytree(_ROOT / "netshare", to / "netshare", ignore=_CACHES)
    return to


def next_release(to: Path) -> Path:
    """Make a successor of this netshare."""
    this_release(to)
    for path, before, after in _NEXT:
        file = to / "netshare" / path
        text = file.read_text(encoding="utf-8")
        if before not in text:
            raise LookupError(f"{path} has no {before!r} that its successor could have otherwise")
        file.write_text(text.replace(before, after), encoding="utf-8")
    return to


def revision(name: str, to: Path) -> Path:
    """Take the netshare of a revision out of git."""
    packed = subprocess.run(["git", "-C", _ROOT, "archive", name, "netshare"], capture_output=True, check=True).stdout
    to.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", to], input=packed, check=True)
    return to


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of one replacement; ``absent`` are the seconds in which no agent ran."""

    absent: float
    rebuilt: bool


class Site(World):
    """A world whose netshare lies in a directory of its own; verbs are programs of that one.

    ``left`` is what an agent that was replaced had left in the kernel.
    """

    def __init__(self, directory: Path, first: Path) -> None:
        self.left = ""
        self._site = directory / "site"
        shutil.copytree(first, self._site)
        super().__init__(directory, self._site)

    def attach(
        self,
        name: str,
        port: int,
        protocol: Protocol,
        to: int | None = 8080,
        endpoints: tuple[StaticEndpoint, ...] = (),
    ) -> bool:
        """Attach by the command line, which must go well."""
        where = [word for each in endpoints for word in ("--endpoint", f"{each.address}:{each.port}")]
        self.verb(
            "attach", name, f"{port}/{protocol}", *(where or ["--to", str(to), "--engine", "docker", "--no-wait"])
        )
        self.attached.add(name)
        return True

    def verb(self, *words: str) -> str:
        """Have a verb done as a program, which must go well."""
        process = self.cli(*words)
        said = str(process.communicate(timeout=60)[0])
        if process.returncode:
            raise Broken(f"netshare {' '.join(words)}: {said}")
        return said

    def told(self, *words: str) -> list[str]:
        """Have a verb done that may find fault with things; gives its lines."""
        return str(self.cli(*words).communicate(timeout=60)[0]).splitlines()

    def remove_files(self) -> None:
        """Take the files away from whoever runs them."""
        shutil.rmtree(self._site / "netshare")

    def put_files(self, release: Path) -> None:
        """Put a release where the files were."""
        shutil.copytree(release / "netshare", self._site / "netshare")

    def replace_agent(self) -> Replaced:
        """Stop the agent and start it again by the files that are there now; meanwhile a replica comes."""
        self.settle()
        self.end_agent(signal.SIGTERM)
        ended, logged = time.monotonic(), len(self.log())
        self.left = self.table()
        self.start_container()
        self.start_agent()
        self.wait_for_agent()
        return Replaced(time.monotonic() - ended, "rebuilt=yes" in self.log()[logged:])

    def wait_for_agent(self) -> None:
        """Wait until it has reconciled, or has told that it will not."""
        began = time.monotonic()
        while not self.said(self.client.sync) and REFUSAL not in self.refusal:
            if time.monotonic() - began > BOUND:
                raise Broken(f"the agent does not reconcile: {self.refusal}; {self.log()[-3000:]}")
            time.sleep(0.01)

    def follow(self) -> None:
        """Have a replica come and go with nobody hurt: it is served, then served no more, and then it ends."""
        while (made := self.start_container()) is not None and not made.name.startswith("web-"):
            pass
        self.settle()
        if made is None:
            raise Broken("there is no place for another replica")
        self.docker.change(made.id, "kill", leaving=True)
        self.settle()
        time.sleep(0.5)  # what was sent to it before is answered
        self.end_server(made.name)
        self.docker.change(made.id, "stop", "die", state="exited", leaving=False)
        self.docker.drop(made.id, "destroy")
        self.settle()

    def table(self) -> str:
        """List netshare's table, without what counts."""
        return re.sub(
            r"counter packets \d+ bytes \d+", "counter", self.shell("nft", "list", "table", "inet", "netshare")
        )

    @contextmanager
    def rollout_of_another_release(self) -> Iterator[None]:
        """Have the record of a rollout there that another release has written."""
        path = self.disk / "state/rollouts/another.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"schema": 2}), encoding="utf-8")
        yield
        path.unlink()

    def write_schema(self, service: str, number: int) -> None:
        """Give a definition another schema, as another release would."""
        path = self.disk / f"state/services/{service}.json"
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"schema": number}), encoding="utf-8")


class Held:
    """Connections to every service, over TCP and UDP, that nothing may end and nobody may move."""

    def __init__(self, site: Site, each: int = 4) -> None:
        """Open so many of each."""
        client = site.lab.client.namespace
        self._open = [
            Conversation(client, site.lab.at(port), protocol=protocol, timeout=5)
            for port, protocol in ((WEB, Protocol.TCP), (DNS, Protocol.UDP), (OTHER, Protocol.TCP))
            for _ in range(each)
        ]
        self._answered = [conversation.ask().replica for conversation in self._open]

    def ask(self) -> int:
        """Ask again over each; gives how many there are."""
        answered = [conversation.ask().replica for conversation in self._open]
        if answered != self._answered:
            raise Broken(f"connections were moved: {self._answered} to {answered}")
        return len(answered)

    def close(self) -> None:
        """Close them."""
        for conversation in self._open:
            conversation.close()

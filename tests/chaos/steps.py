"""What may happen, one step after the other, drawn by a seed; after each, all that must hold is compared."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from netshare.core.model import IPTABLES, Protocol
from netshare.core.rollout import Maker, Member, Options, Pair, Rollout
from netshare.core.rollout import Stage as RolloutStage
from netshare.netfilter.nftables.driver import NftablesDriver
from tests.chaos.docker import Simulated
from tests.chaos.world import DNS, EXTRA, OTHER, WEB, Broken, World, slots_of

_GRACE = 0.05
_DELAYED_ACK = 0.3
"""Seconds after which the last answer of a connection is acknowledged: 40 ms, on a machine with time for it."""


class Watcher:
    """Looks at the kernel all the time: whatever happens, it never holds the half of something.

    What is read while somebody commits is not one moment's; so only what is read between two equal counts is judged.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._ended, self._paused = threading.Event(), threading.Event()
        self.looks = 0
        self.seen = ""
        self._future = world.lab.host.start_thread(self._watch)

    def close(self) -> None:
        """End it; raises what it met."""
        self._ended.set()
        self._future.result()

    def pause(self) -> None:
        """Look away: another hand is about to do damage."""
        self._paused.set()

    def resume(self) -> None:
        """Look again: what was damaged is whole."""
        self._paused.clear()

    def _watch(self) -> None:
        driver = NftablesDriver()
        try:
            while not self._ended.wait(0.02):
                before = driver.generation()
                found = driver.observe()
                if driver.generation() != before or self._paused.is_set():
                    continue
                self.looks += 1
                if not found.intact or OTHER not in slots_of(found):
                    self.seen = self.seen or f"intact: {found.intact}, {slots_of(found)}"
        finally:
            driver.close()


class Chaos:
    """Draws steps and takes them. ``done`` counts what was done, ``now`` names what is."""

    def __init__(self, world: World, seed: int, only: Sequence[str] = ()) -> None:
        """``only``: the names of steps to draw from; all of them by default."""
        self.world = world
        self.draw = random.Random(seed)  # noqa: S311 (to be replayed)
        self.done: Counter[str] = Counter()
        self.now = ""
        self.watcher = Watcher(world)
        if world.driver_name == IPTABLES:
            self.watcher.pause()  # a change is atomic in each table there, not over all of them
        self._steps: list[tuple[Callable[[], None], int]] = [
            (self.scale_up, 6),
            (self.scale_down, 3),
            (self.stop, 4),
            (self.kill, 3),
            (self.start_again, 4),
            (self.restart, 3),
            (self.pause, 2),
            (self.go_on, 3),
            (self.health, 4),
            (self.weigh, 3),
            (self.drain, 3),
            (self.resume, 3),
            (self.another_port, 1),
            (self.detach_and_attach, 1),
            (self.kill_the_agent, 2),
            (self.kill_the_agent_at_work, 6),
            (self.end_the_agent, 1),
            (self.cut_the_stream, 2),
            (self.engine_dies_and_comes_back, 2),
            (self.truncate_a_definition, 1),
            (self.fill_the_disk, 1),
            (self.jump_the_clock, 1),
            (self.flush_the_ruleset, 1),
            (self.storm_of_commits, 1),
            (self.two_at_once, 1),
            (self.roll_out, 2),
        ]
        if world.driver_name == IPTABLES:
            native = (self.flush_the_ruleset, self.storm_of_commits, self.jump_the_clock)
            self._steps = [*(each for each in self._steps if each[0] not in native), (self.flush_the_legacy_tables, 1)]
        self._steps = [(step, weight) for step, weight in self._steps if not only or step.__name__ in only]

    def step(self) -> str:
        """Take one, and compare; gives its name."""
        steps, weights = zip(*self._steps, strict=True)
        [chosen] = self.draw.choices(steps, weights)
        self.now = name = str(chosen.__name__)
        chosen()
        if self.world.agent is None and self.draw.random() < 0.7:
            self.world.start_agent()
        self.world.settle()
        self.world.check()
        self.done[name] += 1
        if self.watcher.seen:
            raise Broken(f"half of something was seen in the kernel: {self.watcher.seen}")
        return name

    def close(self) -> None:
        """End what watches."""
        self.watcher.close()

    def _any(self, *states: str, leaving: bool = False) -> Simulated | None:
        found = [
            each for each in self.world.docker.containers().values() if each.state in states and each.leaving == leaving
        ]
        return self.draw.choice(sorted(found, key=lambda each: each.id)) if found else None

    # --- containers ---------------------------------------------------------------------------------------------------

    def scale_up(self) -> None:
        """Run up to three more."""
        for _ in range(self.draw.randint(1, 3)):
            self.world.start_container(self.draw.choice(("", "", "healthy", "starting")))

    def scale_down(self) -> None:
        """Remove one, gracefully; it is never to be seen again."""
        if one := self._stopped():
            self.world.docker.drop(one.id, "destroy")
            self.world.drained.discard(one.name)

    def stop(self) -> None:
        """Stop one: signal, a time of grace, its end."""
        self._stopped()

    def _stopped(self) -> Simulated | None:
        if one := self._any("running"):
            self.world.docker.change(one.id, "kill", leaving=True)
            time.sleep(self.draw.uniform(0, _GRACE))
            self._end(one, "stop", "die")
        return one

    def kill(self) -> None:
        """End one as SIGKILL does."""
        if one := self._any("running"):
            self._end(one, "kill", "die")

    def _end(self, one: Simulated, *actions: str) -> None:
        self.world.end_server(one.name)
        self.world.docker.change(one.id, *actions, state="exited", leaving=False, health="")

    def start_again(self) -> None:
        """Start what has ended."""
        if one := self._any("exited"):
            self.world.run_again(one)

    def restart(self) -> None:
        """Do what `docker restart` does."""
        if one := self._stopped():
            self.world.run_again(one)

    def pause(self) -> None:
        """Pause one."""
        if one := self._any("running"):
            self.world.docker.change(one.id, "pause", state="paused")

    def go_on(self) -> None:
        """Let one go on."""
        if one := self._any("paused"):
            self.world.docker.change(one.id, "unpause", state="running")

    def health(self) -> None:
        """Have a HEALTHCHECK say something else."""
        if one := self._any("running", "paused"):
            health = self.draw.choice(("healthy", "healthy", "unhealthy", "starting"))
            self.world.docker.change(one.id, f"health_status: {health}", health=health)

    # --- people -------------------------------------------------------------------------------------------------------

    def weigh(self) -> None:
        """Give one another weight."""
        if one := self._any("running"):
            self.world.weigh(one.name, self.draw.randint(0, 4))

    def drain(self) -> None:
        """Drain one."""
        if one := self._any("running"):
            self.world.drain(one.name)

    def resume(self) -> None:
        """Resume one that is drained."""
        if drained := sorted(self.world.drained & self.world.docker.containers().keys()):
            self.world.resume(self.draw.choice(drained))

    def another_port(self) -> None:
        """Attach another port of the same service."""
        port = EXTRA + self.draw.randrange(3)
        if "web" in self.world.attached and self.world.attach("web", port, Protocol.TCP):
            self.world.extra_ports.add(port)

    def detach_and_attach(self) -> None:
        """Detach a service, look, attach it again."""
        service, port, protocol = self.draw.choice((("web", WEB, Protocol.TCP), ("dns", DNS, Protocol.UDP)))
        if self.world.detach(service):
            self.world.settle()
            self.world.attach(service, port, protocol)

    def two_at_once(self) -> None:
        """Have two programs change the same definition at the same moment."""
        one, other = self._any("running"), self._any("running")
        if one is None or other is None:
            return
        service, another = (each.name.split("-", maxsplit=1)[0] for each in (one, other))
        weight = self.draw.randint(1, 4)
        running = [
            self.world.cli("weight", service, one.name, str(weight)),
            self.world.cli("drain", another, other.name, "--timeout", "1h"),
        ]
        said = [(each.communicate(timeout=120)[0], each.returncode) for each in running]
        for words, code in said:
            if "Traceback" in words or code not in range(10):
                raise Broken(f"a verb crashed: {words}")
        if said[0][1] == 0:
            self.world.weights[one.name] = weight
        if said[1][1] == 0:
            self.world.drained.add(other.name)

    def roll_out(self) -> None:
        """Be half-way through a rollout: the old ones serve, then the new ones, whoever is killed in between."""
        well = [each for each in self.world.docker.containers().values() if each.name in self.world.served("web")]
        members = [Member(each.id, each.name, "docker") for each in well if each.health in ("", "healthy")]
        half = len(members) // 2
        if not half or "web" not in self.world.attached:
            return
        olds, news = members[:half], members[half : 2 * half]
        for stage, held_back in (
            (RolloutStage.MADE, members[half:]),
            (RolloutStage.SHIFTED, [*olds, *members[2 * half :]]),
        ):
            pairs = tuple(Pair(old, new, stage) for old, new in zip(olds, news, strict=True))
            with self.world.host.lock():
                self.world.host.rollouts.save(Rollout("web", Maker.CONTAINER, Options(1, 1, 120.0), pairs))
            self.world.held_back = {each.name for each in held_back}
            if self.draw.random() < 0.5:
                self.world.end_agent(signal.SIGKILL)
                self.world.start_agent()
            self.world.sync()
            self.world.settle()
            self.world.check()
        with self.world.host.lock():
            self.world.host.rollouts.delete("web")
        self.world.held_back = set()
        self.world.sync()

    # --- the agent ----------------------------------------------------------------------------------------------------

    def kill_the_agent(self) -> None:
        """Kill it, whatever it is about; things change while there is none."""
        self.world.end_agent(signal.SIGKILL)
        self.draw.choice((self.scale_up, self.stop, self.kill, self.health, self.pause))()

    def kill_the_agent_at_work(self) -> None:
        """Kill it at any instant: while it starts, or while change upon change comes."""
        self.world.start_agent()
        after = threading.Timer(self.draw.uniform(0, 2.0), lambda: None)
        after.start()
        while after.is_alive():
            self.draw.choice((self.scale_up, self.stop, self.start_again, self.health))()
            time.sleep(self.draw.uniform(0, 0.05))
        self.world.end_agent(signal.SIGKILL)

    def end_the_agent(self) -> None:
        """End it as systemd does."""
        if self.world.agent is not None:
            self.world.settle()
            with suppress(KeyError):
                self.world.end_agent(signal.SIGTERM)

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def cut_the_stream(self) -> None:
        """Break the streams of events while things happen."""
        self.world.docker.cut()
        self.draw.choice((self.scale_up, self.stop, self.kill))()

    def engine_dies_and_comes_back(self) -> None:
        """Kill the engine: what is served stays, agent or not; then it comes back, and all is followed."""
        before = self.world.slots()
        self.world.docker.down()
        if self.draw.random() < 0.3:
            self.world.end_agent(signal.SIGKILL)
            self.world.start_agent()
        time.sleep(self.draw.uniform(0, 0.5))
        if self.world.slots() != before:
            raise Broken(f"the engine's silence changed {before} to {self.world.slots()}")
        self.world.docker.up()

    def truncate_a_definition(self) -> None:
        """Cut a definition short: its service stays as it is, and so does the file."""
        path = self.world.disk / "state/services/web.json"
        if not path.exists():
            return
        whole, before = path.read_bytes(), self.world.slots()
        path.write_bytes(whole[: self.draw.randrange(len(whole) - 2)])
        damaged = path.read_bytes()
        if self.world.attach("web", EXTRA + 9, Protocol.TCP):
            raise Broken("a definition that can't be read was written over")
        self.draw.choice((self.stop, self.scale_up))()
        self.world.sync()
        if self.world.slots()[WEB] != before[WEB]:
            raise Broken(f"a service whose definition can't be read was changed: {before} to {self.world.slots()}")
        if path.read_bytes() != damaged:
            raise Broken("a definition that can't be read was written over")
        path.write_bytes(whole)
        self.world.sync()

    def fill_the_disk(self) -> None:
        """Leave no room: verbs say so and change nothing, and the kernel follows all the same."""
        filling = self.world.disk / "fill"
        with suppress(OSError), filling.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        try:
            one = self._any("running")
            if one and self.world.weigh(one.name, 5 + self.world.weights.get(one.name, 1)):
                raise Broken("what could not be written was said to be done")
            if one and "No space left" not in self.world.refusal:
                raise Broken(f"a full disk was called {self.world.refusal!r}")
            self.draw.choice((self.stop, self.scale_up, self.kill))()
            if self.world.agent is not None:
                self.world.settle()
        finally:
            filling.unlink()

    def jump_the_clock(self) -> None:
        """Set the agent's clock by up to two days, either way."""
        self.world.clock.write_text(f"{self.draw.randint(-172_800, 172_800):+d}")
        self.draw.choice((self.stop, self.scale_up, self.restart))()

    def flush_the_ruleset(self) -> None:
        """Flush everything, others' rules too, which come back by their own."""
        self.watcher.pause()
        self.world.flushed = True
        time.sleep(_DELAYED_ACK)  # without NAT, whoever sends just then is reset by the host
        self.world.shell("nft", "flush", "ruleset")
        self.world.restore_foreign()
        self.world.settle()
        self.watcher.resume()

    def flush_the_legacy_tables(self) -> None:
        """Flush netshare's chains in legacy iptables: nobody is told, so the next reconcile is to see it."""
        self.world.flushed = True
        time.sleep(_DELAYED_ACK)
        table, chain = self.draw.choice((("nat", "NETSHARE-SERVICES"), ("nat", "PREROUTING"), ("raw", "PREROUTING")))
        self.world.shell("iptables-legacy", "-t", table, "-F", chain)
        self.world.sync()

    def storm_of_commits(self) -> None:
        """Commit more often than a stopped agent can be told of: the kernel drops what finds no room (ENOBUFS)."""
        if self.world.agent is None:
            return
        self.world.agent.send_signal(signal.SIGSTOP)
        batch = "".join(f"add table ip storm{number}\n" for number in range(2))
        for _ in range(150):
            self.world.shell("nft", "-f", "-", given=batch)
            self.world.shell("nft", "-f", "-", given="delete table ip storm0\ndelete table ip storm1\n")
        self.stop()
        self.world.agent.send_signal(signal.SIGCONT)

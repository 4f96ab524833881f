"""What a rollout in progress stands on: what is noted of it, what is so, and waiting with an ear for what others say.

Every change of the record is made here, under netshare's lock, together with the drains that belong to it.
"""

from collections.abc import Callable, Iterable, Sequence

from netshare.core.draining import Cause, Drain, begun, drain_of
from netshare.core.model import Replica, ReplicaState, Service
from netshare.core.plan import ServiceReplicas
from netshare.core.rollout import Pair, Rollout
from netshare.errors import NetshareError
from netshare.netfilter.driver import Observation
from netshare.operations import draining, rollout
from netshare.operations.control import converge
from netshare.operations.draining import End
from netshare.operations.making import UnfitError
from netshare.operations.readiness import Readiness
from netshare.operations.replica import judged_of
from netshare.operations.rollout import Tools
from netshare.operations.traffic import against_kernel, held_by
from netshare.reconcile import prepare, reconcile

INTERVAL = 0.2
_ATTEMPTS = 5

Change = Callable[[Rollout], Rollout]
Replicas = dict[str, Replica]


class TurnedError(Exception):
    """Somebody else has changed what is noted: look again what comes next."""


class Ground:
    """One service's rollout, as it is noted and as it is."""

    def __init__(self, tools: Tools, name: str) -> None:
        self.tools = tools
        self.name = name

    def now(self) -> Rollout:
        """Read what is noted."""
        return rollout.unfinished(self.tools, self.name)

    def note(self, change: Change, begin: Iterable[Drain] = (), *, lift: bool = False) -> Rollout:
        """Change what is noted, in any case; see `decide`.

        ``begin`` are drains that begin with it; ``lift``: those of the old replicas end.
        """
        host = self.tools.host
        with host.lock():
            before = self.now()
            if lift:
                rollout.lift_drains(host, before)
            after = change(before)
            if after != before:
                host.rollouts.save(after)
            if wanted := list(begin):
                host.drains.save(begun(host.drains.load(), wanted, is_new_deadline=False))
        return after

    def decide(self, now: Rollout, change: Change, begin: Sequence[Drain] = ()) -> None:
        """Change what is noted, unless somebody else has changed where it goes.

        Raises:
            TurnedError: that is so.

        """

        def guarded(there: Rollout) -> Rollout:
            if (there.direction, there.pairs) != (now.direction, now.pairs):
                raise TurnedError
            return change(there)

        self.note(guarded, begin)

    def sleep(self, now: Rollout, seconds: float) -> None:
        """Wait for a moment.

        Raises:
            TurnedError: somebody has changed what is noted.

        """
        self.tools.clock.sleep(seconds)
        self.heed(now)

    def heed(self, now: Rollout) -> None:
        """See that nobody has changed what is noted."""
        if self.now() != now:
            raise TurnedError

    def converge(self) -> None:
        """Bring what is noted to the kernel."""
        converge(self.tools.host, self.tools.agent)

    def readiness(self) -> Readiness:
        """Begin to find out whether replicas are fit."""
        return Readiness(self.tools.probe, agent_probes=self._has_agent)

    def look(self) -> tuple[Service, Replicas]:
        """Look at the service and its replicas, by their ids."""
        item, _ = self._seen()
        return item.service, {each.id: each for each in item.replicas}

    def require_alive(self, pairs: Iterable[Pair], replicas: Replicas) -> None:
        """See that the new replicas of these pairs have not ended.

        Raises:
            UnfitError: one has.

        """
        for pair in pairs:
            if pair.new is not None:
                replica = replicas.get(pair.new.id)
                if replica is None or replica.state is ReplicaState.GONE:
                    raise UnfitError(f"{pair.new.name} {self._fate(pair.new.engine, pair.new.id)}")

    def require_fit(self, pairs: Sequence[Pair], replicas: Replicas) -> None:
        """See that the new replicas of these pairs run, and that nothing bad is known of them.

        Raises:
            UnfitError: one is not fit any more.

        """
        self.require_alive(pairs, replicas)
        for pair in pairs:
            if pair.new is not None and (replica := replicas[pair.new.id]).state is ReplicaState.UNHEALTHY:
                raise UnfitError(f"{pair.new.name} is not well any more: {replica.reason}")

    def require_served(self, pairs: Iterable[Pair]) -> None:
        """See that the kernel gives new replicas connections, before anything is taken away.

        Raises:
            NetshareError: it does not.

        """
        wanted = {pair.new.id for pair in pairs if pair.new is not None}
        lacking: list[Replica] = []
        for attempt in range(_ATTEMPTS):
            item, observation = self._seen()
            found = against_kernel(item, held_by(observation))
            lacking = [
                each for each in found if each.id in wanted and each.weight and each.state is ReplicaState.STARTING
            ]
            if not lacking:
                return
            if attempt:
                self.tools.clock.sleep(INTERVAL)
            self.converge()
        raise NetshareError(
            f"the kernel does not give {lacking[0].name} connections: {lacking[0].reason}",
            hint=f"`netshare doctor` may tell why; then: netshare rollout {self.name} --resume",
        )

    def drains(self, now: Rollout, service: Service, replicas: Replicas, ids: Iterable[str]) -> list[Drain]:
        """Make the drains of some replicas, from now on."""
        at, drain = self.tools.host.drains.now(), now.options.drain
        wanted = [replicas[identity] for identity in ids if identity in replicas]
        return [
            drain_of(service.name, each, Cause.ROLLOUT, at, at + (each.drain if drain is None else drain))
            for each in wanted
        ]

    def drain(self, now: Rollout, drains: Sequence[Drain]) -> None:
        """Wait for drains, until nothing is left or their time is over; those that a reboot has ended begin again.

        Raises:
            TurnedError: somebody has changed what is noted.

        """
        self.decide(now, lambda there: there, drains)
        wanted, tools = {drain.key for drain in drains}, self.tools
        noted = [drain for drain in tools.host.drains.load() if drain.key in wanted]

        def told(how: draining.Remaining) -> None:
            self.heed(now)
            left = ", ".join(f"{each.replica} has {each.connections} ({each.to_go:.0f} s)" for each in how.replicas)
            tools.tell.waits(f"draining {', '.join(each.replica for each in how.replicas)}", f"open: {left}")

        ends = draining.wait(tools.host, tools.agent, tools.connections, noted, clock=tools.clock, progress=told)
        for end in ends:
            if end.how is End.LEFT:
                left = draining.counted(end.left)
                tools.tell.said(f"{end.replica} has {left} left after {end.seconds:.0f} s, which its stop is to end")
            else:
                tools.tell.said(f"{end.replica} drained in {end.seconds:.1f} s")

    @property
    def _has_agent(self) -> bool:
        return self.tools.agent.pid() is not None

    def _seen(self) -> tuple[ServiceReplicas, Observation]:
        """Look at the service; with no agent to follow what changes, follow it here."""
        host = self.tools.host
        definitions = host.store.load()
        if self._has_agent:
            prepared = prepare(host, definitions)
            held = prepared.observation
        else:
            prepared = reconcile(host)
            held = Observation(prepared.change.after, intact=True)
        return ServiceReplicas(*judged_of(prepared, definitions, self.name)), held

    def _fate(self, engine: str, identity: str) -> str:
        """Say what has become of a container that is no live replica of the service."""
        try:
            found = self.tools.engines[engine].look(identity)
            words = self.tools.engines[engine].last_words(identity) if found else ""
        except NetshareError:
            found, words = None, ""
        if found is None:
            return "is gone"
        if found.is_running:
            return f"runs, and is no replica of {self.name}: neither its labels nor its name say so"
        return f"has ended ({found.end})" + (f": {words}" if words else "")

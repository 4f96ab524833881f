"""A whole host of fakes, wired as the real one is."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from netshare.core.draining import Drain, Way
from netshare.core.health import Probe, Verdict, Verdicts
from netshare.core.model import Container, Listener, Service
from netshare.core.rollout import Rollout
from netshare.core.ruleset import Target
from netshare.errors import DefinitionError, NetshareError
from netshare.host import Host
from netshare.reconcile import reconcile
from netshare.store.protocol import Definitions, Rollouts
from tests.fakes.driver import FakeDriver, FakeForwarding, FakeLinks, FakeLock
from tests.fakes.engine import FakeEngine
from tests.fakes.flows import FakeFlows


class FakeStore:
    """Definitions in memory."""

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}
        self.unreadable: dict[str, DefinitionError] = {}
        self.writes = 0

    def load(self) -> Definitions:
        return Definitions.of((self.services[name] for name in sorted(self.services)), dict(self.unreadable))

    def save(self, service: Service) -> None:
        self._writable(service.name)
        self.services[service.name] = service

    def delete(self, name: str) -> None:
        self._writable(name)
        self.services.pop(name, None)

    def corrupt(self, name: str) -> None:
        """Do what a half-written or hand-mangled file does."""
        self.services.pop(name, None)
        self.unreadable[name] = DefinitionError(f"the definition of {name} can't be used", hint="mend the file")

    def _writable(self, name: str) -> None:
        if name in self.unreadable:
            raise self.unreadable[name]
        self.writes += 1


class FakeAgent:
    """An agent that runs or not; where it runs, a sync reconciles its host."""

    def __init__(self, host: Host) -> None:
        self.running_pid: int | None = None
        self.syncs = 0
        self.failure: NetshareError | None = None
        self._host = host

    def pid(self) -> int | None:
        return self.running_pid

    def other_version(self) -> str | None:
        return None

    def sync(self) -> None:
        self.syncs += 1
        if self.failure is not None:
            raise self.failure
        reconcile(self._host)


class FakeSockets:
    """Listening sockets, by port; ``blindness`` is what the kernel answers instead for as long as it is set."""

    def __init__(self) -> None:
        self.listening: dict[int, list[str]] = {}
        self.blindness: NetshareError | None = None

    def holders(self, listener: Listener) -> list[str]:
        if self.blindness is not None:
            raise self.blindness
        return self.listening.get(listener.port, [])


class FakeConnections:
    """What the kernel would track; ``ways`` are those to drained replicas."""

    def __init__(self) -> None:
        self.open: dict[Target, int] = {}
        self.ways: dict[Way, int] = {}

    def active(self) -> Mapping[Target, int]:
        return self.open

    def by_way(self) -> Mapping[Way, int]:
        return self.ways


class FakeHealth:
    """What probes are said to have told; ``is_probed`` is whether an agent probes."""

    def __init__(self) -> None:
        self.known: dict[Probe, Verdict] = {}
        self.is_probed = False

    def verdicts(self) -> Verdicts:
        return Verdicts(dict(self.known), is_probed=self.is_probed)


class FakeDrains:
    """Drains in memory; ``blindness`` is what reading them meets for as long as it is set."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.noted: tuple[Drain, ...] = ()
        self.writes = 0
        self.blindness: NetshareError | None = None

    def now(self) -> float:
        return self.time

    def load(self) -> Sequence[Drain]:
        if self.blindness is not None:
            raise self.blindness
        return self.noted

    def save(self, drains: Sequence[Drain]) -> None:
        if self.blindness is not None:
            raise self.blindness
        self.noted = tuple(drains)
        self.writes += 1


class FakeRollouts:
    """Rollouts in memory; ``before`` is told of whatever is done."""

    def __init__(self) -> None:
        self.known: dict[str, Rollout] = {}
        self.unreadable: dict[str, DefinitionError] = {}
        self.before: Callable[[str], None] = lambda _: None

    def load(self) -> Rollouts:
        return Rollouts(dict(self.known), dict(self.unreadable))

    def get(self, service: str) -> Rollout | None:
        if service in self.unreadable:
            raise self.unreadable[service]
        return self.known.get(service)

    def save(self, rollout: Rollout) -> None:
        self.before("save")
        self.get(rollout.service)
        self.known[rollout.service] = rollout
        self.before("saved")

    def delete(self, service: str) -> None:
        self.before("delete")
        self.known.pop(service, None)


class FakeNames:
    """The names that shells complete, as they were put up last."""

    def __init__(self) -> None:
        self.posted: Mapping[str, Sequence[str]] = {}
        self.kept: Collection[str] = ()

    def post(self, names: Mapping[str, Sequence[str]], kept: Collection[str]) -> None:
        self.posted, self.kept = names, kept


@dataclass
class FakeHost:
    """Every part of the host, to arrange before and to look at afterwards."""

    engine: FakeEngine = field(default_factory=FakeEngine)
    driver: FakeDriver = field(default_factory=FakeDriver)
    store: FakeStore = field(default_factory=FakeStore)
    forwarding: FakeForwarding = field(default_factory=FakeForwarding)
    links: FakeLinks = field(default_factory=FakeLinks)
    flows: FakeFlows = field(default_factory=FakeFlows)
    lock: FakeLock = field(default_factory=FakeLock)
    sockets: FakeSockets = field(default_factory=FakeSockets)
    health: FakeHealth = field(default_factory=FakeHealth)
    drains: FakeDrains = field(default_factory=FakeDrains)
    rollouts: FakeRollouts = field(default_factory=FakeRollouts)
    names: FakeNames = field(default_factory=FakeNames)
    connections: FakeConnections = field(default_factory=FakeConnections)
    host: Host = field(init=False)
    agent: FakeAgent = field(init=False)

    def __post_init__(self) -> None:
        self.host = Host(
            store=self.store,
            engines={self.engine.name: self.engine},
            driver=self.driver,
            forwarding=self.forwarding,
            links=self.links,
            flows=self.flows,
            sockets=self.sockets,
            health=self.health,
            drains=self.drains,
            rollouts=self.rollouts,
            names=self.names,
            lock=self.lock,
        )
        self.agent = FakeAgent(self.host)


def fake_host(*containers: Container) -> FakeHost:
    """Make a host that runs these containers and shares nothing yet."""
    return FakeHost(FakeEngine(*containers))

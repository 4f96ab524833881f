"""A host on which a service is rolled out: fakes all of it, and a record of whom the kernel has ever served by."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address

from netshare.core import compose
from netshare.core.compose import ComposeService
from netshare.core.health import Probe
from netshare.core.model import Attachment, Container, ContainerStatus, Listener, Service
from netshare.core.rollout import Rollout
from netshare.core.ruleset import Ruleset
from netshare.operations import rollout
from netshare.operations.rolling import drive
from netshare.operations.rollout import Request, Rolled, Tools
from netshare.reconcile import reconcile
from tests.fakes.driver import FakeClock
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host
from tests.fakes.replacing import FakeReplacing

COMPOSED: Mapping[str, str] = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.project.working_dir": "/srv/shop",
    "com.docker.compose.project.config_files": "/srv/shop/compose.yaml",
    "com.docker.compose.version": "1.29.2",
}


class FakeComposer:
    """Compose, over the containers of a world: numbers go on, and what stopped is started again."""

    def __init__(self, world: "RolloutWorld") -> None:
        self._world = world
        self.refusal: Exception | None = None
        self.most = 1000
        self.images = "my/web:2"

    def check(self, service: ComposeService) -> None:
        assert service.project == "shop"

    def scale(self, service: ComposeService, replicas: int, address: str) -> None:
        self._world.before("compose")
        if self.refusal is not None:
            raise self.refusal
        assert address == FakeReplacing.address
        own, engine = self._world.fake.engine, self._world.engine
        there = [each for each in own.running if service.has(each)]
        for each in there:
            engine.start(each.id)
        for _ in range(min(replicas, self.most) - len(there)):
            last = max(there, key=compose.number)
            number = compose.number(last) + 1
            labels = {**last.labels, compose.NUMBER: str(number)}
            made = replace(
                last,
                id=f"composed-{number}",
                name=f"shop_web_{number}",
                labels=labels,
                status=ContainerStatus.CREATED,
                attachments=(Attachment("bridge", ()),),
            )
            own.running.append(made)
            engine.image_of[made.id] = self.images
            self._world.before("composed")
            engine.start(made.id)
            there.append(made)


class RolloutWorld:
    """``web`` behind port 80, served by so many replicas; ``before`` is told of whatever is done, and may interrupt."""

    def __init__(self, replicas: int = 3, *, composed: bool = False, agent: bool = True) -> None:
        self.before: Callable[[str], None] = lambda _: None
        self.fake: FakeHost = fake_host(*(self._old(number, composed=composed) for number in range(1, replicas + 1)))
        self.engine = FakeReplacing(self.fake.engine, before=self._before)
        self.fake.rollouts.before = self._before
        self.fake.store.save(Service("web", (Listener(80, to=8080),)))
        self.fake.agent.running_pid = 4242 if agent else None
        self.composer = FakeComposer(self)
        self.unwell: set[str] = set()
        self.told: list[str] = []
        self.waited: list[str] = []
        self.claimed = False
        self.on_sleep: Callable[[], None] = lambda: None
        self.clock = FakeClock(self._pass_time)
        reconcile(self.fake.host)

    @property
    def tools(self) -> Tools:
        return Tools(
            host=self.fake.host,
            agent=self.fake.agent,
            engines={"docker": self.engine},
            composer=self.composer,
            connections=self.fake.connections,
            probe=self._probe,
            claim=self._claim,
            clock=self.clock,
            tell=self,
        )

    def roll(self, **words: object) -> Rolled:
        """Begin a rollout, and drive it until it ends or is interrupted."""
        rollout.begun(self.tools, Request("web", **words))  # type: ignore[arg-type]
        return drive(self.tools, "web")

    def resume(self) -> Rolled:
        """Go on with it."""
        return drive(self.tools, "web")

    @property
    def record(self) -> Rollout:
        return self.fake.rollouts.known["web"]

    def containers(self) -> dict[str, Container]:
        """Give all containers by their names."""
        return {each.name: each for each in self.fake.engine.running}

    def served(self, ruleset: Ruleset | None = None) -> dict[str, int]:
        """Tell who is given new connections, by container, and how many slots of the table."""
        held = self.fake.driver.observe().ruleset if ruleset is None else ruleset
        names = {
            address: each.name
            for each in self.fake.engine.running
            for attachment in each.attachments
            for address in attachment.addresses
        }
        slots = [slot for dispatch in held.dispatches.values() for slot in dispatch.slots]
        found: dict[str, int] = {}
        for slot in slots:
            name = names.get(slot.address, str(slot))
            found[name] = found.get(name, 0) + 1
        return found

    def images(self) -> set[str]:
        """Name the images of all replicas that there are."""
        return {self.engine.image_of.get(each.id, "my/web:1") for each in self.fake.engine.running}

    def said(self, what: str) -> None:
        self.told.append(what)

    def waits(self, what: str, detail: str = "") -> None:  # noqa: ARG002 (it changes all the time)
        if not self.waited or self.waited[-1] != what:
            self.waited.append(what)

    def _before(self, what: str) -> None:
        self.before(what)

    def _pass_time(self, now: float) -> None:
        self.fake.drains.time = now
        self.before("sleep")
        self.on_sleep()

    def _probe(self, probes: Sequence[Probe]) -> dict[Probe, str | None]:
        return {each: "connection refused" if each.replica in self.unwell else None for each in probes}

    @contextmanager
    def _claim(self, _: str) -> Iterator[bool]:
        yield not self.claimed

    @staticmethod
    def _old(number: int, *, composed: bool) -> Container:
        if not composed:
            return container(f"web-{number}", f"10.0.0.{number}", labels={"netshare.service": "web"})
        labels = {**COMPOSED, compose.NUMBER: str(number)}
        made = container(f"shop_web_{number}", f"10.0.0.{number}", labels=labels)
        assert made.attachments[0].addresses == (ip_address(f"10.0.0.{number}"),)
        return made

"""Anything in any order, on fakes: containers come, leave, hang and fall ill, people and agents act, things break.

After each step the kernel holds what a small model of its own says, a second reconcile finds nothing to do, and
services that the step is not about are as they were, to the byte.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from netshare.core.diff import Change
from netshare.core.model import Container, ContainerStatus, Endpoint, Health, Protocol, StaticEndpoint
from netshare.core.ruleset import Dispatch, Match
from netshare.errors import NetfilterError, NetshareError
from netshare.host import Host
from netshare.netfilter.memory import RememberingDriver
from netshare.operations.attach import attach
from netshare.operations.detach import detach
from netshare.operations.drain import drain, resume
from netshare.operations.request import AttachRequest
from netshare.operations.weight import weigh
from netshare.reconcile import reconcile
from tests.fakes.driver import FakeClock, FakeDriver
from tests.fakes.engine import container
from tests.fakes.host import FakeHost

PORTS = {"web": (80, Protocol.TCP), "dns": (53, Protocol.UDP), "vm": (5432, Protocol.TCP)}
DYNAMIC = ("web", "dns")
VM = tuple(StaticEndpoint(ip_address(f"10.9.0.{number}"), 5432) for number in (1, 2))

services = st.sampled_from(DYNAMIC)
everything = st.sampled_from(tuple(PORTS))


class CountedDriver(FakeDriver):
    """A kernel that counts commits, whoever makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0

    def generation(self) -> int:
        return self.commits

    def apply(self, change: Change) -> None:
        super().apply(change)
        self.commits += not change.is_empty

    def tamper(self) -> None:
        super().tamper()
        self.commits += 1

    def remove_all(self) -> None:
        super().remove_all()
        self.commits += 1


class Agent:
    """An agent that runs or not, and may be killed: its driver remembers for as long as it runs."""

    def __init__(self, fakes: FakeHost) -> None:
        self._fakes = fakes
        self._host: Host | None = None

    def start(self) -> None:
        self._host = replace(self._fakes.host, driver=RememberingDriver(self._fakes.driver))  # type: ignore[arg-type]

    def kill(self) -> None:
        self._host = None

    def pid(self) -> int | None:
        return None if self._host is None else 4242

    def other_version(self) -> str | None:
        return None

    def sync(self) -> None:
        assert self._host is not None
        reconcile(self._host)

    def follow(self) -> None:
        """Do what an event makes the agent do, or, where there is none, `netshare sync`."""
        reconcile(self._host or self._fakes.host)


class Anything(RuleBasedStateMachine):
    """The rules are what may happen; each says whom it is about."""

    replicas: Bundle[str] = Bundle("replicas")

    @initialize()
    def begin(self) -> None:
        """Start with a host that shares nothing."""
        self.fakes = FakeHost(driver=CountedDriver())
        self.agent = Agent(self.fakes)
        self.containers: dict[str, Container] = {}
        self.made = 0
        self.attached: set[str] = set()
        self.corrupt: dict[str, object] = {}
        self.weights: dict[tuple[str, str], int] = {}
        self.drained: set[tuple[str, str]] = set()
        self.is_silent = False
        self.is_settled = True
        self.before: Mapping[Match, Dispatch] = {}
        self.concerned: set[str] = set()

    # --- what containers do -------------------------------------------------------------------------------------------

    @rule(target=replicas, service=services, health=st.sampled_from(Health))
    def scale_up(self, service: str, health: Health) -> str:
        """Run one more."""
        self.made += 1
        name = f"{service}-{self.made}"
        address = f"172.17.{self.made // 250}.{2 + self.made % 250}"
        self.containers[name] = replace(container(name, address, health=health), id=f"id-{self.made}")
        self.happened(service)
        return name

    @rule(name=replicas)
    def stop_signal(self, name: str) -> None:
        """Do what `docker stop` does first."""
        self.alter(name, lambda c: replace(c, leaving=c.status is ContainerStatus.RUNNING))

    @rule(name=replicas)
    def die(self, name: str) -> None:
        """End, by itself or by a kill."""
        self.alter(name, lambda c: replace(c, leaving=False, status=ContainerStatus.EXITED))

    @rule(name=replicas, moved=st.booleans())
    def start_again(self, name: str, moved: bool) -> None:  # noqa: FBT001 (hypothesis gives it by name)
        """Start what has ended, or restart what has not; an engine may give it another address."""
        self.made += moved
        new = container(name, f"172.17.{self.made // 250}.{2 + self.made % 250}")
        self.alter(
            name,
            lambda c: replace(
                c,
                leaving=False,
                status=ContainerStatus.RUNNING,
                attachments=new.attachments if moved and c.status is ContainerStatus.EXITED else c.attachments,
            ),
        )

    @rule(name=replicas, paused=st.booleans())
    def pause(self, name: str, paused: bool) -> None:  # noqa: FBT001
        """Pause, or go on."""
        there = {ContainerStatus.RUNNING, ContainerStatus.PAUSED}
        after = ContainerStatus.PAUSED if paused else ContainerStatus.RUNNING
        self.alter(name, lambda c: replace(c, status=after) if c.status in there and not c.leaving else c)

    @rule(name=replicas, health=st.sampled_from(Health))
    def fall_ill_or_get_well(self, name: str, health: Health) -> None:
        """Have a HEALTHCHECK say something."""
        self.alter(name, lambda c: replace(c, health=health))

    @rule(name=consumes(replicas))
    def remove(self, name: str) -> None:
        """Remove it; its address and its name may be used again, its id never."""
        del self.containers[name]
        self.drained = {each for each in self.drained if each[1] != name}
        self.happened(name.split("-", maxsplit=1)[0])

    def alter(self, name: str, how: Callable[[Container], Container]) -> None:
        """Change a container, and let the engine tell of it."""
        self.containers[name] = how(self.containers[name])
        self.happened(name.split("-", maxsplit=1)[0])

    # --- what people do -----------------------------------------------------------------------------------------------

    @rule(service=everything)
    def attach(self, service: str) -> None:
        """Attach a service, perhaps once more."""
        port, protocol = PORTS[service]
        endpoints = VM if service == "vm" else ()
        request = AttachRequest(service, port, protocol, endpoints=endpoints, wait=False)
        if self.said(
            service,
            lambda: attach(
                self.fakes.host, self.agent, self.fakes.sockets, request, clock=FakeClock(), progress=lambda _: None
            ),
        ):
            self.attached.add(service)

    @rule(service=everything)
    def detach(self, service: str) -> None:
        """Detach it."""
        if self.said(service, lambda: detach(self.fakes.host, self.agent, service)):
            self.attached.discard(service)
            self.weights = {key: weight for key, weight in self.weights.items() if key[0] != service}
            self.drained = {each for each in self.drained if each[0] != service}

    @rule(name=replicas, weight=st.integers(0, 3))
    def weigh(self, name: str, weight: int) -> None:
        """Give a replica another weight."""
        service = name.split("-", maxsplit=1)[0]
        if self.said(service, lambda: weigh(self.fakes.host, self.agent, service, name, weight)):
            self.weights[service, name] = weight

    @rule(name=replicas)
    def drain(self, name: str) -> None:
        """Take a replica out of rotation."""
        service = name.split("-", maxsplit=1)[0]
        if self.said(service, lambda: drain(self.fakes.host, self.agent, service, [name])):
            self.drained.add((service, name))

    @rule(name=replicas)
    def resume(self, name: str) -> None:
        """Put it in again."""
        service = name.split("-", maxsplit=1)[0]
        if self.said(service, lambda: resume(self.fakes.host, self.agent, service, [name])):
            self.drained.discard((service, name))

    def said(self, service: str, verb: Callable[[], Any]) -> bool:
        """Have a verb done; whether it went well. One that fails leaves the definitions as they were."""
        definitions, drains = dict(self.fakes.store.services), self.fakes.drains.noted
        self.before = self.fakes.driver.observe().ruleset.dispatches
        self.concerned = {service}
        try:
            verb()
        except NetshareError:
            assert self.fakes.store.services == definitions
            assert {d.key for d in self.fakes.drains.noted if d.cause == "hand"} <= {d.key for d in drains}
            self.happened(service)
            return False
        self.is_settled = True
        return True

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    @rule()
    def agent_starts_or_is_killed(self) -> None:
        """Start an agent, or kill the one that runs."""
        if self.agent.pid() is None:
            self.agent.start()
        else:
            self.agent.kill()
        self.happened()

    @rule()
    def engine_falls_silent_or_answers(self) -> None:
        """Stop the engine, or start it again: all that happened meanwhile is told at once."""
        self.is_silent = not self.is_silent
        self.happened(*(() if self.is_silent else DYNAMIC))

    @rule()
    def kernel_refuses_once(self) -> None:
        """Have the next commit refused: nothing of it is there then."""
        before = self.fakes.driver.observe()
        self.fakes.driver.failure = NetfilterError("the kernel refused")
        try:
            self.agent.follow()
        except NetfilterError:
            assert self.fakes.driver.observe() == before
        self.fakes.driver.failure = None
        self.happened()

    @rule(flushed=st.booleans())
    def another_hand(self, flushed: bool) -> None:  # noqa: FBT001
        """Flush the ruleset, or damage it; what is gone can't be kept of services nobody knows the replicas of."""
        if flushed:
            self.fakes.driver.remove_all()
        else:
            self.fakes.driver.tamper()
        self.happened(*(PORTS if flushed else ()))

    @precondition(lambda self: not self.corrupt)
    @rule(service=everything)
    def definition_is_corrupted(self, service: str) -> None:
        """Truncate a definition's file."""
        if service in self.fakes.store.services:
            self.corrupt[service] = self.fakes.store.services[service]
            self.fakes.store.corrupt(service)
            self.happened()

    @precondition(lambda self: self.corrupt)
    @rule()
    def definition_is_mended(self) -> None:
        """Put the file back."""
        [(service, definition)] = self.corrupt.items()
        del self.fakes.store.unreadable[service]
        self.fakes.store.services[service] = definition  # type: ignore[assignment]
        self.corrupt.clear()
        self.happened(service)

    # --- what must hold -----------------------------------------------------------------------------------------------

    def happened(self, *concerned: str) -> None:
        """Let the agent, or a sync, follow what happened to these services and no others."""
        self.before = self.fakes.driver.observe().ruleset.dispatches
        self.concerned = set(concerned)
        if self.is_silent:
            self.fakes.engine.die()
        else:
            self.fakes.engine.failure = None
            self.fakes.engine.running = list(self.containers.values())
        self.agent.follow()
        self.is_settled = True

    @invariant()
    def the_kernel_holds_what_it_should(self) -> None:
        """Compare it with the model; services that nobody knows of just now are as they were."""
        if not getattr(self, "is_settled", False):
            return
        observation = self.fakes.driver.observe()
        held = observation.ruleset.dispatches
        assert observation.intact or not held
        for service, (port, protocol) in PORTS.items():
            own = {
                match: dispatch for match, dispatch in held.items() if (match.port, match.protocol) == (port, protocol)
            }
            was = {match: d for match, d in self.before.items() if (match.port, match.protocol) == (port, protocol)}
            if service in self.corrupt or (self.is_silent and service in DYNAMIC and service in self.attached):
                expected: object = None
            elif service in self.attached:
                expected = self.served(service)
            else:
                expected = set()
            if expected is None:
                assert own == was or service in self.concerned
            else:
                assert {endpoint for dispatch in own.values() for endpoint in dispatch.slots} == expected
                assert bool(own) == (service in self.attached)
            if service not in self.concerned and expected is not None:
                assert own == was

    @invariant()
    def a_second_reconcile_finds_nothing_to_do(self) -> None:
        """Neither the agent's nor another process's."""
        if not getattr(self, "is_settled", False):
            return
        assert reconcile(self.fakes.host).change.is_empty
        commits = self.fakes.driver.generation()  # type: ignore[attr-defined]
        self.agent.follow()
        assert self.fakes.driver.generation() == commits  # type: ignore[attr-defined]

    def served(self, service: str) -> set[Endpoint]:
        """Say who is to be given new connections, in another way than netshare does."""
        if service == "vm":
            return {Endpoint(each.address, 5432) for each in VM}
        able = [
            each
            for name, each in self.containers.items()
            if name.startswith(f"{service}-")
            and each.status is ContainerStatus.RUNNING
            and not each.leaving
            and (service, name) not in self.drained
            and self.weights.get((service, name), 1) > 0
        ]
        well = [each for each in able if each.health in (Health.NONE, Health.HEALTHY)]
        chosen = well or [each for each in able if each.health is Health.UNHEALTHY]
        return {Endpoint(each.attachments[0].addresses[0], PORTS[service][0]) for each in chosen}


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)

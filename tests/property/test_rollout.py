"""A rollout that is interrupted anywhere, any number of times, ends with all replicas old or all of them new.

And at no moment is nobody served, or somebody who does not run.
"""

from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from netshare.core import rollout as record
from netshare.core.model import ContainerStatus
from netshare.core.rollout import Direction
from netshare.errors import NetshareError
from netshare.operations import rollout
from netshare.operations.rollout import Request
from tests.fakes.rollout import RolloutWorld


class EndedError(BaseException):
    """The process has ended just there."""


@dataclass
class Fate:
    """Interrupts after so many things were done or begun, and looks on all the time whether somebody is served."""

    world: RolloutWorld
    left: int | None = None
    sleeps: int = 0
    seen: list[str] = field(default_factory=list)

    def __call__(self, what: str) -> None:
        self.seen.append(what)
        served = self.world.served()
        running = {c.name for c in self.world.fake.engine.running if c.status is ContainerStatus.RUNNING}
        assert served, self.seen[-5:]
        assert served.keys() <= running, (served, self.seen[-5:])
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise EndedError

    def promote(self) -> None:
        """Let it go on after a while where it pauses."""
        there = self.world.fake.rollouts.known.get("web")
        self.sleeps += 1
        if there is not None and there.is_paused and self.sleeps % 5 == 0:
            self.world.fake.rollouts.known["web"] = record.promoted(there)


@st.composite
def requests(draw: st.DrawFn, replicas: int, *, composed: bool) -> Request:
    batch = draw(st.none() | st.integers(1, replicas))
    surge = draw(st.none() | st.integers(replicas, 2 * replicas))
    return Request(
        "web",
        image=None if composed else draw(st.sampled_from([None, "my/web:2", "my/web:2", "broken"])),
        batch=batch,
        surge=surge,
        canary=draw(st.none() | st.sampled_from([10, 50, 90])),
        pause=draw(st.none() | st.just(2.0)),
        timeout=10.0,
    )


@given(st.data(), st.integers(1, 4), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_it_ends_all_old_or_all_new_and_somebody_is_always_served(
    data: st.DataObject,
    replicas: int,
    composed: bool,  # noqa: FBT001 (drawn)
    agent: bool,  # noqa: FBT001 (drawn)
) -> None:
    world = RolloutWorld(replicas, composed=composed, agent=agent)
    world.composer.images = data.draw(st.sampled_from(["my/web:2", "my/web:2", "broken"])) if composed else "my/web:2"
    olds = {each.id for each in world.fake.engine.running}
    names = set(world.containers())
    fate = Fate(world)
    world.before, world.on_sleep = fate, fate.promote
    rollout.begun(world.tools, data.draw(requests(replicas, composed=composed)))
    for _ in range(data.draw(st.integers(0, 4))):
        fate.left = data.draw(st.integers(0, 120))
        with suppress(EndedError, NetshareError):
            world.resume()
        fate.left = None
        if data.draw(st.booleans()):
            there = world.fake.rollouts.known.get("web")
            if there is not None and there.direction is not Direction.FINISHING:
                rollout.aborted(world.tools, "web")
    if "web" in world.fake.rollouts.known:
        with suppress(NetshareError):
            world.resume()
    assert world.fake.rollouts.known == {}
    ends = {each.id for each in world.fake.engine.running}
    assert len(ends) == replicas
    assert ends == olds or not ends & olds
    assert len(world.served()) == replicas
    assert world.fake.drains.noted == ()
    assert composed or set(world.containers()) == names
    assert all(each.status is ContainerStatus.RUNNING for each in world.fake.engine.running)

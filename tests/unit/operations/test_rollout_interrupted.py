"""A rollout ended at every single point, one after the other, and then gone on with, or taken back."""

from contextlib import suppress

import pytest

from netshare.core.model import ContainerStatus
from netshare.core.rollout import Direction
from netshare.operations import rollout
from netshare.operations.rollout import Outcome, Request
from tests.fakes.rollout import RolloutWorld


class EndedError(BaseException):
    """The process has ended just there."""


def interrupted(at: int, *, composed: bool) -> RolloutWorld | None:
    """Give a world where a rollout was ended after so many things were done; none where it was over by then."""
    world = RolloutWorld(2, composed=composed)
    left = at

    def end(_: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise EndedError

    rollout.begun(world.tools, Request("web", batch=1))
    world.before = end
    with suppress(EndedError):
        world.resume()
        return None
    world.before = lambda _: None
    return world


def check(world: RolloutWorld, image: str) -> None:
    assert world.images() == {image}
    assert len(world.containers()) == len(world.served()) == 2
    assert all(each.status is ContainerStatus.RUNNING for each in world.containers().values())
    assert (world.fake.rollouts.known, world.fake.drains.noted) == ({}, ())


@pytest.mark.parametrize("composed", [False, True])
def test_it_goes_on_from_wherever_it_was_ended(composed: bool) -> None:  # noqa: FBT001 (a parameter)
    at = 0
    while (world := interrupted(at, composed=composed)) is not None:
        at += 1
        if "web" in world.fake.rollouts.known:
            assert world.resume().outcome is Outcome.COMPLETED
        check(world, "my/web:2" if composed else "my/web:1")
        assert not {c.id for c in world.containers().values()} & {"id-of-web-1", "id-of-web-2"}
    assert at > 60


@pytest.mark.parametrize("composed", [False, True])
def test_it_is_taken_back_from_wherever_it_was_ended_unless_all_is_new(composed: bool) -> None:  # noqa: FBT001
    at, late = 0, 0
    while (world := interrupted(at, composed=composed)) is not None:
        at += 1
        olds = {"id-of-shop_web_1", "id-of-shop_web_2"} if composed else {"id-of-web-1", "id-of-web-2"}
        there = world.fake.rollouts.known.get("web")
        if there is None or there.direction is Direction.FINISHING:
            late += 1
            continue
        rollout.aborted(world.tools, "web")
        assert world.resume().outcome is Outcome.TAKEN_BACK
        check(world, "my/web:1")
        assert {c.id for c in world.containers().values()} == olds
    assert at - late > 50
    assert 0 < late < 20

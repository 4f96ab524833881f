"""Who may be given connections while a service is rolled out."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from netshare.core import rollout as record
from netshare.core.health import Verdicts
from netshare.core.holding import HELD, RETIRED, judged
from netshare.core.judging import judge
from netshare.core.model import Health, Listener, Replica, ReplicaState, Service
from netshare.core.rollout import Direction, Maker, Member, Options, Pair, Rollout, Stage
from netshare.core.selection import replicas
from tests.fakes.engine import container

SERVICE = Service("web", (Listener(80, to=8080),))
OLDS = ("web-1", "web-2")


def rollout(*stages: Stage, **changes: object) -> Rollout:
    """Give a rollout of two replicas that has come so far."""
    pairs = tuple(
        Pair(
            Member(f"id-of-{old}", old, "docker"),
            None if stage is Stage.OLD else Member(f"id-of-web-{number}", f"web-{number}", "docker"),
            stage,
        )
        for number, (old, stage) in enumerate(zip(OLDS, stages, strict=True), 3)
    )
    return replace(Rollout("web", Maker.CONTAINER, Options(1, 1, 60.0), pairs), **changes)  # type: ignore[arg-type]


def look(there: Rollout | None, health: dict[str, Health] | None = None, *names: str) -> dict[str, Replica]:
    """Judge replicas, all of which run."""
    every = names or ("web-1", "web-2", "web-3", "web-4")
    said = health or {}
    running = [container(n, f"10.0.0.{n[-1]}", health=said.get(n, Health.NONE)) for n in every]

    def by_health(service: Service, some: Sequence[Replica]) -> Sequence[Replica]:
        return judge(service, some, Verdicts())

    return {each.name: each for each in judged(there, SERVICE, replicas(SERVICE, running), by_health)}


def serving(found: dict[str, Replica]) -> set[str]:
    return {name for name, each in found.items() if any(map(each.offers, each.endpoints))}


@pytest.mark.parametrize(
    ("stages", "direction", "expected"),
    [
        ((Stage.OLD, Stage.OLD), Direction.FORWARD, {"web-1", "web-2"}),
        ((Stage.MAKING, Stage.MADE), Direction.FORWARD, {"web-1", "web-2"}),
        ((Stage.TRIED, Stage.OLD), Direction.FORWARD, {"web-1", "web-2", "web-3"}),
        ((Stage.SHIFTED, Stage.MADE), Direction.FORWARD, {"web-3", "web-2"}),
        ((Stage.STOPPED, Stage.SHIFTED), Direction.FORWARD, {"web-3", "web-4"}),
        ((Stage.SHIFTED, Stage.MADE), Direction.BACK, {"web-3", "web-2"}),
        ((Stage.RETURNED, Stage.MADE), Direction.BACK, {"web-1", "web-2"}),
        ((Stage.REPLACED, Stage.STOPPED), Direction.FINISHING, {"web-3", "web-4"}),
    ],
)
def test_one_of_each_pair_serves_or_both_of_a_canary(
    stages: tuple[Stage, Stage], direction: Direction, expected: set[str]
) -> None:
    assert serving(look(rollout(*stages, direction=direction))) == expected


def test_without_a_rollout_all_do() -> None:
    assert len(serving(look(None))) == 4


def test_a_new_one_that_is_well_says_that_it_waits() -> None:
    found = look(rollout(Stage.MADE, Stage.OLD), {"web-3": Health.HEALTHY})
    assert (found["web-3"].state, found["web-3"].reason, found["web-3"].is_held) == (ReplicaState.STARTING, HELD, True)


def test_a_new_one_that_is_not_well_says_why() -> None:
    found = look(rollout(Stage.MADE, Stage.MADE), {"web-3": Health.UNHEALTHY, "web-4": Health.STARTING})
    assert (found["web-3"].state, found["web-3"].reason) == (ReplicaState.UNHEALTHY, "its HEALTHCHECK fails")
    assert found["web-4"].state is ReplicaState.STARTING
    assert not found["web-3"].is_held
    assert serving(found) == {"web-1", "web-2"}


def test_an_old_one_that_was_replaced_drains() -> None:
    found = look(rollout(Stage.SHIFTED, Stage.OLD))
    assert (found["web-1"].state, found["web-1"].reason) == (ReplicaState.DRAINING, RETIRED)


def test_new_ones_that_are_well_do_not_keep_unhealthy_old_ones_from_serving() -> None:
    ill = {"web-1": Health.UNHEALTHY, "web-2": Health.UNHEALTHY, "web-3": Health.HEALTHY}
    assert serving(look(rollout(Stage.MADE, Stage.OLD), ill)) == {"web-1", "web-2"}


def test_better_one_whose_batch_has_not_come_than_nobody() -> None:
    assert serving(look(rollout(Stage.MADE, Stage.MADE), None, "web-3", "web-4")) == {"web-3", "web-4"}


def test_one_that_nobody_knows_waits_until_the_end() -> None:
    names = "web-1", "web-2", "web-9"
    assert serving(look(rollout(Stage.OLD, Stage.OLD), None, *names)) == {"web-1", "web-2"}
    end = rollout(Stage.STOPPED, Stage.STOPPED, direction=Direction.FINISHING)
    assert serving(look(end, None, "web-3", "web-4", "web-9")) == {"web-3", "web-4", "web-9"}


def test_a_canary_has_its_share_by_weights() -> None:
    options = Options(1, 1, 60.0, canary=10)
    trial = rollout(Stage.TRIED, Stage.OLD, options=options)
    weights = {name: each.weight for name, each in look(trial).items()}
    assert weights == {"web-1": 9, "web-2": 9, "web-3": 2, "web-4": 1}
    ill = {name: each.weight for name, each in look(trial, {"web-2": Health.UNHEALTHY}).items()}
    assert (ill["web-1"], ill["web-3"]) == (9, 1)
    over = {name: each.weight for name, each in look(record.promoted(trial)).items()}
    assert set(over.values()) == {1}


def test_what_was_said_by_hand_of_an_old_ones_weight_holds_for_its_new_one() -> None:
    there = rollout(Stage.SHIFTED, Stage.OLD)
    first, second = there.pairs
    found = look(replace(there, pairs=(replace(first, weight=7), second)))
    assert found["web-3"].weight == 7

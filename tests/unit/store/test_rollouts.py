"""Rollouts on disk: what is written is read again, and nothing else."""

import json
import math
from pathlib import Path

import pytest

from netshare.core.rollout import Direction, Maker, Member, Options, Pair, Rollout, Stage
from netshare.errors import DefinitionError
from netshare.store.rollouts import RolloutStore

OLD, NEW = Member("a1", "web-1", "docker"), Member("b2", "web-4", "docker")
FULL = Rollout(
    "shop/web",
    Maker.CONTAINER,
    Options(1, 2, 120.0, math.inf, 10, 30.0),
    (Pair(OLD, NEW, Stage.TRIED, 3), Pair(Member("a2", "web-2", "podman"))),
    "my/web:2",
    Direction.BACK,
    is_paused=True,
    is_tried=True,
    failure="it has ended",
    timed_out=True,
)
PLAIN = Rollout("web", Maker.COMPOSE, Options(1, 1, 120.0), (Pair(OLD),))


@pytest.fixture
def store(tmp_path: Path) -> RolloutStore:
    return RolloutStore(tmp_path / "rollouts")


def test_where_nothing_was_begun_there_is_none(store: RolloutStore) -> None:
    assert store.load().known == {}
    assert store.get("web") is None
    store.delete("web")


@pytest.mark.parametrize("rollout", [FULL, PLAIN])
def test_what_is_written_is_read_again(store: RolloutStore, tmp_path: Path, rollout: Rollout) -> None:
    store.save(rollout)
    for each in (store, RolloutStore(tmp_path / "rollouts")):
        for _ in range(2):
            assert each.get(rollout.service) == rollout
            assert each.load().known == {rollout.service: rollout}
    store.delete(rollout.service)
    assert store.load().known == {}


def test_a_newer_one_takes_the_place(store: RolloutStore) -> None:
    store.save(PLAIN)
    moved = PLAIN.moved_to(PLAIN.pairs, Stage.MAKING)
    store.save(moved)
    assert store.get("web") == moved


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"service": "wep"},
        {"service": "a b"},
        {"pairs": []},
        {"pairs": "x"},
        {"surprise": 1},
        {"direction": "up"},
        {"options": {"batch": 0, "surge": 1, "timeout": 1.0}},
        {"options": {"batch": 1, "surge": 1, "timeout": 1.0, "pause": "soon"}},
        {"pairs": [{"old": {"id": "a", "name": "x", "engine": "docker"}, "stage": "old"}] * 2},
    ],
)
def test_what_can_not_be_used_is_refused_and_left_alone(
    store: RolloutStore, tmp_path: Path, change: dict[str, object]
) -> None:
    store.save(PLAIN)
    path = tmp_path / "rollouts" / "web.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    content = path.read_bytes()
    for each in (store, RolloutStore(tmp_path / "rollouts")):
        with pytest.raises(DefinitionError, match=r"web\.json can't be used: ") as refusal:
            each.get("web")
        assert refusal.value.hint
        assert each.load().unreadable.keys() == {"web"}
        with pytest.raises(DefinitionError):
            each.save(PLAIN)
        with pytest.raises(DefinitionError):
            each.delete("web")
    assert path.read_bytes() == content


def test_what_a_newer_netshare_wrote_is_called_that(store: RolloutStore, tmp_path: Path) -> None:
    store.save(PLAIN)
    path = tmp_path / "rollouts" / "web.json"
    path.write_text(json.dumps({"schema": 2, "service": "web", "steps": []}))
    with pytest.raises(DefinitionError, match="a newer netshare wrote it: its schema is 2"):
        store.get("web")


def test_one_that_does_not_say_its_schema_is_none(store: RolloutStore, tmp_path: Path) -> None:
    store.save(PLAIN)
    path = tmp_path / "rollouts" / "web.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "schema"}))
    with pytest.raises(DefinitionError, match="schema: Field required"):
        store.get("web")


def test_a_link_is_not_followed(store: RolloutStore, tmp_path: Path) -> None:
    store.save(PLAIN)
    path = tmp_path / "rollouts" / "web.json"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DefinitionError, match="symbolic link"):
        store.get("web")

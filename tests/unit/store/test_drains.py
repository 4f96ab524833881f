"""Drains are read again as they were written; what can't be used is said, and never overwritten."""

import json
import math
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netshare.core.draining import Cause, Drain
from netshare.errors import DefinitionError, NetshareError, NotPermittedError
from netshare.runtime.boot import boot_id, boot_time
from netshare.store import drains_schema
from netshare.store.drains import DrainStore

ONE = Drain("shop/web", "3f2a", "web-1", "docker", Cause.HAND, 12.25, 42.25)
TWO = Drain("web", "[fd00::1]:80", "[fd00::1]:80", "static", Cause.STOP, 0.1, cut=3)
WRITTEN = {
    "schema": 1,
    "boot": "this",
    "drains": [{"service": "web", "replica": "a", "name": "b", "engine": "docker", "cause": "hand", "since": 1.0}],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "drains.json"


@pytest.fixture
def store(path: Path) -> DrainStore:
    return DrainStore(path, lambda: "this", lambda: 100.0)


def test_what_was_written_is_read_again(store: DrainStore, path: Path) -> None:
    store.save([ONE, TWO])
    assert store.load() == (ONE, TWO)
    assert path.stat().st_mode & 0o777 == 0o644
    store.save([TWO])
    assert store.load() == (TWO,)
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208 (names are wanted)


def test_who_was_sent_its_stop_signal_and_when(store: DrainStore, path: Path) -> None:
    stop = replace(ONE, cause=Cause.STOP, since=90.0)
    store.save([stop, replace(stop, replica="other", cause=Cause.HAND), replace(stop, replica="pod", engine="podman")])
    ten_seconds_ago = time.time_ns() - 10_000_000_000
    found = store.stopping("docker")
    assert found.keys() == {"3f2a"}
    assert ten_seconds_ago <= found["3f2a"] <= ten_seconds_ago + 60_000_000_000
    path.write_text("garbage")
    assert store.stopping("docker") == {}


def test_there_is_no_file_while_nothing_drains(store: DrainStore, path: Path) -> None:
    assert store.load() == ()
    store.save([])
    store.save([ONE])
    store.save([])
    assert not path.exists()
    assert store.load() == ()


def test_those_of_before_a_reboot_are_none(store: DrainStore, path: Path) -> None:
    DrainStore(path, lambda: "another", lambda: 5.0).save([ONE])
    assert store.load() == ()
    store.save([TWO])
    assert store.load() == (TWO,)


def test_the_usual_time_and_boot_are_the_machines(path: Path) -> None:
    store = DrainStore(path)
    before = boot_time()
    assert before <= store.now() <= boot_time()
    store.save([ONE])
    assert json.loads(path.read_text())["boot"] == boot_id()
    assert store.load() == (ONE,)


@given(
    st.lists(
        st.builds(
            Drain,
            st.sampled_from(("web", "shop/web")),
            st.text(min_size=1, max_size=70),
            st.text(min_size=1, max_size=70),
            st.sampled_from(("docker", "podman", "static")),
            st.sampled_from(Cause),
            st.floats(0, 1e9),
            st.floats(0, 1e9) | st.just(math.inf),
            st.none() | st.integers(0, 1000),
        )
    )
)
def test_any_drains_come_back(drains: list[Drain]) -> None:
    assert drains_schema.decode(drains_schema.encode("this", drains)) == ("this", tuple(drains))


def unusable(store: DrainStore, path: Path, why: str) -> None:
    before = path.read_bytes()
    with pytest.raises(DefinitionError, match=why) as refused:
        store.load()
    assert f"rm {path}" in (refused.value.hint or "")
    for drains in ([ONE], []):
        with pytest.raises(DefinitionError):
            store.save(drains)
    assert path.read_bytes() == before


def changed(**fields: object) -> dict[str, Any]:
    return WRITTEN | {"drains": [WRITTEN["drains"][0] | fields]}  # type: ignore[index]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "Invalid JSON"),
        ("null", "object"),
        ('{"schema": 1, "boot": "this", "drains": [', "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        (json.dumps(WRITTEN | {"schema": 0}), "schema"),
        (json.dumps({key: WRITTEN[key] for key in ("boot", "drains")}), "schema: Field required"),
        (json.dumps(WRITTEN | {"schema": 2, "drains": {}}), "a newer netshare wrote it: its schema is 2"),
        (json.dumps({"schema": 2}), "a newer netshare wrote it"),
        (json.dumps(WRITTEN | {"more": 1}), "more: netshare .* knows no such field"),
        (json.dumps(changed(cause="whim")), r"drains.0.cause"),
        (json.dumps(changed(service="../etc")), "not a service name"),
        (json.dumps(changed(since="1")), r"drains.0.since"),
        (json.dumps(changed(deadline=-1.0)), r"drains.0.deadline"),
        (json.dumps(changed(deadline=math.nan)), r"drains.0.deadline"),
        (json.dumps(changed(cut=True)), r"drains.0.cut"),
        (json.dumps(changed(replica="x" * 5000)), r"drains.0.replica"),
    ],
)
def test_nonsense_is_said_and_left_alone(store: DrainStore, path: Path, content: str, why: str) -> None:
    path.write_text(content)
    unusable(store, path, why)


def test_neither_a_link_nor_a_pipe_nor_a_flood_is_read(store: DrainStore, path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text(json.dumps(WRITTEN))
    path.symlink_to(other)
    unusable(store, path, "a symbolic link")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DefinitionError, match="not a plain file"):
        store.load()
    path.unlink()
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(DefinitionError, match="not a plain file"):
        store.load()


def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    nowhere = DrainStore(tmp_path / "missing" / "drains.json", lambda: "this")
    with pytest.raises(NetshareError, match="can't be written") as refused:
        nowhere.save([ONE])
    assert not isinstance(refused.value, NotPermittedError)
    assert nowhere.load() == ()

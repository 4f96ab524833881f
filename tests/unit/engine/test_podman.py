import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest

from netshare.engine import docker_connection
from netshare.engine.docker import DOCKER, DockerEngine
from netshare.engine.podman import PODMAN, RECORD, PodmanEngine
from netshare.engine.podman_records import Records
from netshare.engine.protocol import Engine, EngineEvent, EventKind
from netshare.errors import EngineUnreachableError, NotPermittedError
from tests.unit.engine.docker_samples import AT
from tests.unit.engine.fake_dockerd import INFO, FakeDockerd
from tests.unit.engine.podman_samples import NETWORKS, WEB_1, compatible, event, inspected, listed

LISTING = "/libpod/containers/json"
INSPECTION = f"/libpod/containers/{WEB_1}/json"


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[FakeDockerd]:
    (tmp_path / "db.sql").write_bytes(b"")
    with FakeDockerd() as running:
        running.answers |= {
            "/info": (200, {**INFO, "Rootless": False}),
            LISTING: (200, [listed()]),
            INSPECTION: (200, inspected("bridge", "8080/tcp")),
            "/containers/json": (200, [compatible()]),
            "/libpod/networks/json": (200, NETWORKS),
            "/libpod/info": (200, {"store": {"graphRoot": str(tmp_path)}}),
        }
        running.headers["Libpod-API-Version"] = "4.3.1"
        yield running


@pytest.fixture
def engine(podman: FakeDockerd) -> Iterator[PodmanEngine]:
    engine = PodmanEngine(podman.url)
    yield engine
    engine.close()


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where both engines usually listen, on a host that has neither."""
    usual = tmp_path / "usual.sock"
    for product in (DOCKER, PODMAN):
        here = f"netshare.engine.{product.name.lower()}.{product.name.upper()}"
        monkeypatch.setattr(here, replace(product, usual_url=f"unix://{usual}"))
    return usual


def test_it_is_an_engine() -> None:
    engine: Engine = PodmanEngine()
    assert engine.name == "podman"


def test_a_listing_and_a_second_one(podman: FakeDockerd, engine: PodmanEngine) -> None:
    [found] = engine.containers()
    assert (found.name, found.engine, [str(a) for a in found.attachments[0].addresses]) == (
        "web-1",
        "podman",
        ["10.88.0.2"],
    )
    assert podman.asked == ["/_ping", LISTING, INSPECTION, "/containers/json", "/libpod/networks/json"]
    assert engine.containers() == (found,)
    # What can't change is not asked for again.
    assert podman.asked[5:] == [LISTING, "/containers/json", "/libpod/networks/json"]


def test_one_that_is_gone_when_it_is_looked_up_is_left_out(podman: FakeDockerd, engine: PodmanEngine) -> None:
    podman.answers[LISTING] = 200, [listed("gone"), listed()]
    assert [container.id for container in engine.containers()] == [WEB_1]


def test_what_is_known_of_one_that_is_gone_is_forgotten(podman: FakeDockerd, engine: PodmanEngine) -> None:
    engine.containers()
    podman.answers[LISTING] = 200, []
    assert engine.containers() == ()
    podman.answers[LISTING] = 200, [listed()]
    engine.containers()
    assert podman.asked.count(INSPECTION) == 2


@pytest.mark.parametrize("is_local", [True, False])
def test_a_rootless_podman_is_an_obstacle(
    podman: FakeDockerd, engine: PodmanEngine, monkeypatch: pytest.MonkeyPatch, *, is_local: bool
) -> None:
    if is_local:
        monkeypatch.setattr(docker_connection, "_PEER", SimpleNamespace(size=12, unpack=lambda _: (4242, 1000, 1000)))
    else:
        monkeypatch.setattr(docker_connection.Address, "is_local", False)
        podman.answers["/info"] = 200, {"Rootless": True}
    [found] = engine.containers()
    assert found.obstacle is not None
    assert "Podman runs rootless" in found.obstacle


@pytest.mark.parametrize("path", ["/_ping", LISTING, INSPECTION, "/containers/json", "/libpod/networks/json"])
@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, {"cause": "x", "message": "database is locked", "response": 500}, "database is locked"),
        (200, "<html>a proxy's own words</html>", ""),
    ],
)
def test_a_bad_answer_is_an_engine_that_cannot_be_reached(
    podman: FakeDockerd, engine: PodmanEngine, path: str, status: int, body: object, said: str
) -> None:
    podman.answers[path] = status, body
    if path == "/_ping":
        podman.headers.clear()
    with pytest.raises(EngineUnreachableError) as raised:
        engine.containers()
    assert said in raised.value.message
    assert raised.value.message.startswith(f"Podman does not answer at {podman.url}: ")
    assert "systemctl enable --now podman.socket" in (raised.value.hint or "")
    assert not raised.value.absent


@pytest.mark.parametrize("body", [{}, None, 7])
def test_a_listing_that_is_no_list_is_not_an_empty_one(podman: FakeDockerd, engine: PodmanEngine, body: object) -> None:
    podman.answers[LISTING] = 200, body
    with pytest.raises(EngineUnreachableError, match="not a list"):
        engine.containers()


def test_a_docker_in_podmans_place_is_not_podman(podman: FakeDockerd, engine: PodmanEngine) -> None:
    del podman.headers["Libpod-API-Version"]
    with pytest.raises(EngineUnreachableError) as raised:
        engine.containers()
    assert raised.value.message == f"what answers at {podman.url} is not Podman"
    assert raised.value.absent


def test_a_podman_in_dockers_place_is_not_docker(podman: FakeDockerd) -> None:
    engine = DockerEngine(podman.url)
    for ask in (engine.containers, lambda: next(engine.events())):
        with pytest.raises(EngineUnreachableError) as raised:
            ask()
        assert raised.value.message == f"what answers at {podman.url} is Podman, not Docker"
        assert "CONTAINER_HOST" in (raised.value.hint or "")
        assert raised.value.absent
    engine.close()


def test_a_podman_that_does_not_answer_in_time(
    podman: FakeDockerd, engine: PodmanEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_connection, "ANSWER_SECONDS", 0.2)
    podman.silent.add(LISTING)
    with pytest.raises(EngineUnreachableError, match="timed out"):
        engine.containers()


def test_a_socket_that_may_not_be_opened(podman: FakeDockerd, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr("socket.socket.connect", forbid)
    with pytest.raises(NotPermittedError, match="Podman's socket") as raised:
        PodmanEngine(podman.url).containers()
    assert raised.value.hint is not None


# Absent or unreachable


@pytest.mark.parametrize("kind", [DockerEngine, PodmanEngine])
def test_an_engine_that_nothing_speaks_of_is_absent(kind: type[DockerEngine | PodmanEngine], nowhere: Path) -> None:
    engine = kind()
    for ask in (engine.containers, lambda: next(engine.events())):
        with pytest.raises(EngineUnreachableError, match="No such file or directory") as raised:
            ask()
        assert raised.value.absent
        assert str(nowhere) in raised.value.message


@pytest.mark.parametrize("kind", [DockerEngine, PodmanEngine])
def test_an_engine_whose_address_was_given_is_not_absent(
    kind: type[DockerEngine | PodmanEngine], nowhere: Path
) -> None:
    with pytest.raises(EngineUnreachableError, match="No such file or directory") as raised:
        kind(f"unix://{nowhere}").containers()
    assert not raised.value.absent


@pytest.mark.parametrize("kind", [DockerEngine, PodmanEngine])
def test_an_engine_that_left_its_socket_behind_is_not_absent(
    kind: type[DockerEngine | PodmanEngine], nowhere: Path
) -> None:
    nowhere.touch()
    with pytest.raises(EngineUnreachableError, match="Connection refused") as raised:
        kind().containers()
    assert not raised.value.absent


def test_an_engine_that_answered_once_is_not_absent_later(podman: FakeDockerd, nowhere: Path) -> None:
    nowhere.symlink_to(podman.url.removeprefix("unix://"))
    engine = PodmanEngine()
    assert len(engine.containers()) == 1
    nowhere.unlink()
    with pytest.raises(EngineUnreachableError, match="No such file or directory") as raised:
        engine.containers()
    assert not raised.value.absent


# Events


def test_hints_are_its_events_and_its_records(podman: FakeDockerd, engine: PodmanEngine, tmp_path: Path) -> None:
    hints = engine.events()
    assert next(hints) == EngineEvent(EventKind.SUBSCRIBED)
    podman.tell(event("container", "start"), event("image", "pull"), event("container", "exec_died"))
    assert next(hints) == EngineEvent(EventKind.CHANGED, WEB_1, "start", AT)
    (tmp_path / "db.sql").write_bytes(b"stopping")
    hint = next(hints)
    assert (hint.kind, hint.container_id, hint.action) == (EventKind.CHANGED, "", RECORD)
    assert hint.time_ns > 0
    podman.tell(event("container", "died"))
    assert next(hints).action == "died"
    hints.close()  # type: ignore[attr-defined] # it is a generator


@pytest.mark.parametrize("is_local", [True, False])
def test_a_run_of_a_health_check_is_told_with_pauses(
    podman: FakeDockerd, engine: PodmanEngine, monkeypatch: pytest.MonkeyPatch, *, is_local: bool
) -> None:
    monkeypatch.setattr("netshare.engine.podman._LEAST_SECONDS", 1.0)
    monkeypatch.setattr(docker_connection.Address, "is_local", is_local)
    hints = engine.events()
    next(hints)
    podman.tell(event("container", "health_status", HealthStatus="healthy"))
    assert next(hints).action == RECORD
    podman.tell(*[event("container", "health_status", HealthStatus="healthy") for _ in range(50)])
    podman.tell(event("container", "start"))
    assert [next(hints).action for _ in range(2)] == ["start", RECORD]
    hints.close()  # type: ignore[attr-defined]


def test_a_stream_that_ends_is_an_error_and_goes_on_later_after_its_last_event(
    podman: FakeDockerd, engine: PodmanEngine
) -> None:
    podman.tell(event("container", "start"))
    podman.events.put(None)
    with pytest.raises(EngineUnreachableError):
        list(engine.events())
    hints = engine.events()
    next(hints)
    assert podman.since[1] == "2026-11-22T07:55:18.726733535Z"
    hints.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("info", [{"store": {}}, {"store": {"graphRoot": "/nowhere"}}, {}])
def test_without_records_events_have_to_do(podman: FakeDockerd, engine: PodmanEngine, info: object) -> None:
    podman.answers["/libpod/info"] = 200, info
    podman.tell(event("container", "start"))
    assert [hint.action for hint in islice(engine.events(), 2)] == ["", "start"]


def test_without_inotify_events_have_to_do(
    podman: FakeDockerd, engine: PodmanEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr(Records, "watch", refuse)
    podman.tell(event("container", "start"))
    assert [hint.action for hint in islice(engine.events(), 2)] == ["", "start"]
    assert caplog.messages == ["observe engine=podman records=unwatched reason='Too many open files'"]


def test_the_records_of_a_podman_elsewhere_are_not_here(
    podman: FakeDockerd, engine: PodmanEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_connection.Address, "is_local", False)
    hints = engine.events()
    next(hints)
    (tmp_path / "db.sql").write_bytes(b"x")
    podman.tell(event("container", "start"))
    assert next(hints).action == "start"
    hints.close()  # type: ignore[attr-defined]


def test_close_ends_a_stream_that_is_blocked(engine: PodmanEngine) -> None:
    hints = engine.events()
    next(hints)
    engine.close()
    with pytest.raises(EngineUnreachableError):
        next(hints)

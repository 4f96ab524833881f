import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from netshare.engine import docker_connection, docker_stream
from netshare.engine.docker import DockerEngine
from netshare.engine.protocol import Engine, EngineEvent, EventKind
from netshare.errors import EngineUnreachableError, NetshareError, NotPermittedError
from tests.unit.engine.docker_samples import AT, WEB_1, docker_20, event
from tests.unit.engine.fake_dockerd import FakeDockerd, _Handler


@pytest.fixture
def dockerd() -> Iterator[FakeDockerd]:
    with FakeDockerd() as running:
        yield running


@pytest.fixture
def engine(dockerd: FakeDockerd) -> Iterator[DockerEngine]:
    engine = DockerEngine(dockerd.url)
    yield engine
    engine.close()


def failure(stream: Iterator[EngineEvent]) -> NetshareError:
    with pytest.raises(NetshareError) as raised:
        list(stream)
    return raised.value


def test_it_is_an_engine() -> None:
    engine: Engine = DockerEngine()
    assert engine.name == "docker"


def test_the_sdk_is_not_loaded_before_an_engine_is_asked() -> None:
    code = "import sys, netshare.engine.docker as d; d.DockerEngine(); print('docker' in sys.modules)"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "False\n"


def test_the_second_listing_is_one_request(dockerd: FakeDockerd, engine: DockerEngine) -> None:
    dockerd.answers["/containers/json"] = 200, [docker_20()]
    engine.containers()
    assert dockerd.asked == ["/_ping", "/info", "/events", "/containers/json", "/networks"]
    engine.containers()
    assert dockerd.asked[5:] == ["/containers/json"]


class TestWhoWasSentItsStopSignalBefore:
    """Docker's listing calls a container running to its last breath: someone who heard of the signal has to tell."""

    @pytest.mark.parametrize(
        ("started", "is_leaving"), [("2026-11-22T07:00:00Z", True), ("2026-11-22T09:00:00Z", False)]
    )
    def test_is_leaving_unless_it_has_started_since(
        self, dockerd: FakeDockerd, started: str, *, is_leaving: bool
    ) -> None:
        dockerd.answers["/containers/json"] = 200, [docker_20()]
        dockerd.answers[f"/containers/{WEB_1}/json"] = 200, {"State": {"StartedAt": started}}
        eight = 1_795_334_400_000_000_000  # 2026-11-22T08:00:00Z
        engine = DockerEngine(dockerd.url, lambda: {WEB_1: eight})
        assert [container.leaving for container in engine.containers()] == [is_leaving]
        assert [container.leaving for container in engine.containers()] == [is_leaving]
        assert dockerd.asked.count(f"/containers/{WEB_1}/json") == 1
        engine.close()

    @pytest.mark.parametrize(
        ("past", "is_leaving"),
        [
            ((("kill", "15"),), True),
            ((("kill", "3"),), True),
            ((("kill", "1"),), False),
            ((("kill", "15"), ("kill", "1")), True),
            ((("kill", "15"), ("die", ""), ("start", "")), False),
            ((("kill", "15"), ("start", "")), False),
            ((("start", ""), ("kill", "15")), True),
            ((("exec_die", ""), ("kill", "15"), ("exec_die", "")), True),
        ],
    )
    def test_the_past_tells_of_it(
        self, dockerd: FakeDockerd, engine: DockerEngine, past: tuple[tuple[str, str], ...], *, is_leaving: bool
    ) -> None:
        dockerd.answers["/containers/json"] = 200, [docker_20()]
        state = {"State": {"StartedAt": "2026-11-22T07:00:00Z"}, "Config": {"StopSignal": "SIGQUIT"}}
        dockerd.answers[f"/containers/{WEB_1}/json"] = 200, state
        dockerd.past = [event("container", action, {"signal": sent}) for action, sent in past]
        assert [container.leaving for container in engine.containers()] == [is_leaving]

    def test_it_may_begin_between_the_first_listing_and_the_first_stream(
        self, dockerd: FakeDockerd, engine: DockerEngine
    ) -> None:
        dockerd.answers["/containers/json"] = 200, [docker_20()]
        dockerd.answers[f"/containers/{WEB_1}/json"] = 200, {"State": {"StartedAt": "2026-11-22T07:00:00Z"}}
        assert [container.leaving for container in engine.containers()] == [False]
        dockerd.past = [event("container", "kill", {"signal": "15"})]
        next(engine.events())
        assert [container.leaving for container in engine.containers()] == [True]

    def test_is_forgotten_when_it_starts(self, dockerd: FakeDockerd) -> None:
        dockerd.answers["/containers/json"] = 200, [docker_20()]
        dockerd.answers[f"/containers/{WEB_1}/json"] = 200, {"State": {"StartedAt": "2026-11-22T07:00:00Z"}}
        engine = DockerEngine(dockerd.url, lambda: {WEB_1: AT})
        assert [container.leaving for container in engine.containers()] == [True]
        dockerd.tell(event("container", "start", {}))
        list(islice(engine.events(), 2))
        assert [container.leaving for container in engine.containers()] == [False]
        engine.close()

    def test_is_forgotten_when_it_is_gone(self, dockerd: FakeDockerd) -> None:
        engine = DockerEngine(dockerd.url, lambda: {WEB_1: AT})
        assert engine.containers() == ()
        dockerd.answers["/containers/json"] = 200, [docker_20()]
        assert [container.leaving for container in engine.containers()] == [False]
        engine.close()


def test_a_rootless_engine_is_an_obstacle(dockerd: FakeDockerd, engine: DockerEngine) -> None:
    dockerd.answers["/info"] = 200, {"SecurityOptions": ["name=rootless"]}
    dockerd.answers["/containers/json"] = 200, [docker_20()]
    [container] = engine.containers()
    assert container.obstacle is not None
    assert "rootless" in container.obstacle


@pytest.mark.parametrize("path", ["/_ping", "/info", "/containers/json", "/networks"])
@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, {"message": "no space left on device"}, "no space left on device"),
        (503, "Service Unavailable", ""),
        (400, {"message": "client version 1.99 is too new"}, "too new"),
        (200, "<html>a proxy's own words</html>", ""),
    ],
)
def test_a_bad_answer_is_an_engine_that_cannot_be_reached(
    dockerd: FakeDockerd, engine: DockerEngine, path: str, status: int, body: object, said: str
) -> None:
    dockerd.answers["/containers/json"] = 200, [docker_20()]
    dockerd.answers[path] = status, body
    if path == "/_ping":
        dockerd.headers.clear()
    with pytest.raises(EngineUnreachableError) as raised:
        engine.containers()
    assert raised.value.message.startswith(f"Docker does not answer at {dockerd.url}: ")
    assert said in raised.value.message
    assert raised.value.hint is not None


@pytest.mark.parametrize("body", [{}, None, "null", 7])
def test_a_listing_that_is_no_list_is_not_an_empty_one(
    dockerd: FakeDockerd, engine: DockerEngine, body: object
) -> None:
    dockerd.answers["/containers/json"] = 200, body
    with pytest.raises(EngineUnreachableError):
        engine.containers()


def test_after_an_error_the_engine_is_asked_anew(dockerd: FakeDockerd, engine: DockerEngine) -> None:
    dockerd.answers["/containers/json"] = 500, {"message": "starting"}
    with pytest.raises(EngineUnreachableError):
        engine.containers()
    dockerd.answers["/containers/json"] = 200, []
    assert engine.containers() == ()
    assert dockerd.asked.count("/info") == 2


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("unix:///nowhere/docker.sock", "No such file or directory"),
        ("tcp://127.0.0.1:1", "Connection refused"),
        ("nonsense://x", "Invalid bind address protocol"),
        ("tcp://127.0.0.1:99999", "Port out of range"),
        ("ssh://host", "paramiko"),
    ],
)
def test_where_nobody_answers(url: str, said: str) -> None:
    for ask in (DockerEngine(url).containers, lambda: next(DockerEngine(url).events())):
        with pytest.raises(EngineUnreachableError) as raised:
            ask()
        assert url in raised.value.message
        assert said in raised.value.message
        assert raised.value.hint is not None
        assert "DOCKER_HOST" in raised.value.hint


@pytest.mark.parametrize("path", ["/_ping", "/info", "/containers/json"])
def test_a_docker_that_does_not_answer_in_time(
    dockerd: FakeDockerd, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(docker_connection, "ANSWER_SECONDS", 0.2)
    dockerd.silent.add(path)
    with pytest.raises(EngineUnreachableError, match="timed out"):
        engine.containers()


def test_a_socket_that_may_not_be_opened(monkeypatch: pytest.MonkeyPatch, dockerd: FakeDockerd) -> None:
    def forbid(*_: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr("socket.socket.connect", forbid)
    with pytest.raises(NotPermittedError) as raised:
        DockerEngine(dockerd.url).containers()
    assert dockerd.url in raised.value.message
    assert raised.value.hint is not None
    assert "docker group" in raised.value.hint


def test_the_first_hint_says_that_the_stream_is_open(dockerd: FakeDockerd, engine: DockerEngine) -> None:
    dockerd.tell(event("container", "start", {}), event("container", "kill", {"signal": "15"}))
    found = list(islice(engine.events(), 3))
    assert found == [
        EngineEvent(EventKind.SUBSCRIBED),
        EngineEvent(EventKind.CHANGED, WEB_1, "start", AT),
        EngineEvent(EventKind.LEAVING, WEB_1, "kill", AT),
    ]


def test_events_begin_with_the_moment_of_connecting_in_the_engines_own_time(
    dockerd: FakeDockerd, engine: DockerEngine
) -> None:
    next(engine.events())
    assert dockerd.since == ["1795334089.467183000"]


def test_a_stream_that_ends_is_an_error(dockerd: FakeDockerd, engine: DockerEngine) -> None:
    dockerd.events.put(None)
    error = failure(engine.events())
    assert isinstance(error, EngineUnreachableError)
    assert dockerd.url in error.message


def test_a_later_stream_goes_on_after_the_last_event(dockerd: FakeDockerd, engine: DockerEngine) -> None:
    dockerd.tell(event("container", "start", {}))
    dockerd.events.put(None)
    failure(engine.events())
    next(engine.events())
    assert dockerd.since[1] == f"{(AT + 1) // 10**9}.{(AT + 1) % 10**9:09d}"


def test_lines_that_mean_nothing_are_passed_over(dockerd: FakeDockerd, engine: DockerEngine) -> None:
    for text in ("nonsense\n", "\n\n", "[]\n"):
        dockerd.events.put(text)
    dockerd.tell(event("container", "start", {}))
    assert [hint.action for hint in islice(engine.events(), 2)] == ["", "start"]


def test_an_event_in_pieces_and_two_in_one(dockerd: FakeDockerd, engine: DockerEngine) -> None:
    dockerd.events.put('{"Type": "container", "Action": "st')
    dockerd.events.put('art", "id": "a"}\n{"Type": "container", "Action": "die", "id": "b"}\n')
    found = list(islice(engine.events(), 3))[1:]
    assert [(hint.container_id, hint.action) for hint in found] == [("a", "start"), ("b", "die")]


def test_silence_is_followed_by_a_question_and_another_stream(
    dockerd: FakeDockerd, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_stream, "QUIET_SECONDS", 0.1)
    stream = engine.events()
    next(stream)
    threading.Timer(0.25, dockerd.events.put, [None]).start()
    dockerd.answers["/_ping"] = 500, "not well"
    assert isinstance(failure(stream), EngineUnreachableError)
    assert dockerd.asked[-1] == "/_ping"


def test_leaving_is_remembered_until_the_container_starts(dockerd: FakeDockerd, engine: DockerEngine) -> None:
    dockerd.answers["/containers/json"] = 200, [docker_20()]
    dockerd.tell(event("container", "kill", {"signal": "15"}), event("container", "start", {}))
    stream = engine.events()
    seen = []
    for _ in range(3):
        next(stream)
        seen += [container.leaving for container in engine.containers()]
    assert seen == [False, True, False]


def test_a_stop_signal_is_asked_for_once_and_only_where_it_matters(dockerd: FakeDockerd, engine: DockerEngine) -> None:
    inspect = f"/containers/{WEB_1}/json"
    dockerd.answers[inspect] = 200, {"Id": WEB_1, "Config": {"StopSignal": "SIGQUIT"}}
    dockerd.tell(*(event("container", "kill", {"signal": sent}) for sent in ("15", "1", "3", "3")))
    kinds = [hint.kind for hint in islice(engine.events(), 4)]
    assert kinds == [EventKind.SUBSCRIBED, *[EventKind.LEAVING] * 3]
    assert dockerd.asked.count(inspect) == 1


def test_a_signal_to_a_container_that_is_gone_means_nothing(dockerd: FakeDockerd, engine: DockerEngine) -> None:
    dockerd.tell(event("container", "kill", {"signal": "3"}), event("container", "destroy", {}))
    assert [hint.action for hint in islice(engine.events(), 2)] == ["", "destroy"]


def test_close_ends_the_stream(engine: DockerEngine) -> None:
    stream = engine.events()
    next(stream)
    threading.Timer(0.1, engine.close).start()
    assert isinstance(failure(stream), EngineUnreachableError)
    assert isinstance(failure(engine.events()), EngineUnreachableError)


def test_a_line_without_an_end_is_no_event(
    dockerd: FakeDockerd, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_stream, "LONGEST_LINE", 1000)
    stream = engine.events()
    next(stream)
    for _ in range(3):
        dockerd.events.put("x" * 500)
    assert "a line of its event stream is over 1000 bytes" in failure(stream).message


def test_an_answer_of_lists_in_lists_is_no_crash(dockerd: FakeDockerd, engine: DockerEngine) -> None:
    dockerd.answers["/containers/json"] = (200, "[" * 100_000)
    with pytest.raises(EngineUnreachableError):
        engine.containers()


def test_what_an_engine_complains_of_at_length_is_cut(dockerd: FakeDockerd, engine: DockerEngine) -> None:
    dockerd.answers["/containers/json"] = (500, {"message": "so " * 100_000})
    with pytest.raises(EngineUnreachableError) as refused:
        engine.containers()
    assert len(refused.value.message) < 1000


def test_a_chunk_of_more_bytes_than_there_are_addresses_is_no_crash(
    dockerd: FakeDockerd, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: _Handler) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"ffffffffffffffffffff\r\n{}\n")
        self.close_connection = True

    monkeypatch.setattr(_Handler, "_stream", write)
    stream = engine.events()
    next(stream)
    assert dockerd.url in failure(stream).message

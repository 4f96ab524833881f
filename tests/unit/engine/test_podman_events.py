import json

import pytest

from netshare.engine import docker_events
from netshare.engine.podman_events import FILTERS, hint
from netshare.engine.protocol import EngineEvent, EventKind
from tests.unit.engine.docker_samples import AT
from tests.unit.engine.podman_samples import WEB_1, event


def meaning(kind: str, action: str, **fields: object) -> EngineEvent | None:
    raw = docker_events.read(json.dumps(event(kind, action, **fields)).encode())
    assert raw is not None
    return hint(raw)


@pytest.mark.parametrize(
    "action",
    [
        *("create", "init", "start", "restart", "pause", "unpause", "rename"),
        *("kill", "stop", "die", "died", "cleanup", "remove"),
    ],
)
def test_all_that_happens_to_a_container_is_a_change_and_no_more(action: str) -> None:
    assert meaning("container", action) == EngineEvent(EventKind.CHANGED, WEB_1, action, AT)


def test_health_is_told_without_its_value_in_the_action() -> None:
    assert meaning("container", "health_status", HealthStatus="healthy") == EngineEvent(
        EventKind.CHANGED, WEB_1, "health_status", AT
    )


@pytest.mark.parametrize("action", ["connect", "disconnect", "create", "remove"])
def test_a_networks_event_has_the_containers_id(action: str) -> None:
    assert meaning("network", action) == EngineEvent(EventKind.CHANGED, WEB_1, action, AT)


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        *(("container", noise) for noise in ("exec", "exec_died", "attach", "sync", "mount", "health_status: healthy")),
        *(("pod", "start"), ("image", "remove"), ("volume", "create"), ("network", "start"), ("", "start")),
    ],
)
def test_the_rest_is_noise(kind: str, action: str) -> None:
    assert meaning(kind, action) is None


def test_the_engine_is_asked_for_all_of_it_in_its_own_words() -> None:
    assert {"died", "die", "remove", "health_status", "connect", "restart"} <= set(FILTERS["event"])
    assert FILTERS["type"] == ["container", "network"]

"""What the words about health make of a definition."""

from dataclasses import replace

import pytest

from netshare.core.checks import health_check, kind_of_check, words
from netshare.core.model import FailMode, Health, HealthCheck, Protocol, ReplicaState
from netshare.errors import UsageError, WaitTimeoutError
from netshare.operations.health_request import NOTHING, HealthRequest, updated_check
from netshare.operations.request import AttachRequest, updated
from netshare.store.schema import decode, encode
from tests.fakes.engine import container
from tests.fakes.host import fake_host
from tests.unit.operations.attaching import run, slots

HTTP = "http:/up interval=5s timeout=2s rise=1 fall=2 host=shop.example"


@pytest.mark.parametrize(
    ("before", "request_", "after"),
    [
        ("engine", NOTHING, "engine"),
        (HTTP, NOTHING, HTTP),
        ("engine", HealthRequest(kind_of_check("tcp")), "tcp"),
        (
            "engine",
            HealthRequest(kind_of_check("http:/up"), 0.5, None, 1, 2, "a.example"),
            "http:/up interval=500ms rise=1 fall=2 host=a.example",
        ),
        (
            HTTP,
            HealthRequest(kind_of_check("http:81/")),
            "http:81/ interval=5s timeout=2s rise=1 fall=2 host=shop.example",
        ),
        (HTTP, HealthRequest(kind_of_check("tcp")), "tcp interval=5s timeout=2s rise=1 fall=2"),
        (HTTP, HealthRequest(kind_of_check("engine")), "engine"),
        (HTTP, HealthRequest(interval=1.0), "http:/up interval=1s timeout=1s rise=1 fall=2 host=shop.example"),
        (HTTP, HealthRequest(interval=60.0), "http:/up interval=60s timeout=2s rise=1 fall=2 host=shop.example"),
        (HTTP, HealthRequest(timeout=5.0), "http:/up interval=5s timeout=5s rise=1 fall=2 host=shop.example"),
    ],
)
def test_what_is_said_replaces_what_was_said(before: str, request_: HealthRequest, after: str) -> None:
    assert words(updated_check(health_check(before), request_)) == words(health_check(after))


@pytest.mark.parametrize(
    ("before", "request_"),
    [
        ("engine", HealthRequest(interval=1.0)),
        ("none", HealthRequest(fall=1)),
        ("tcp", HealthRequest(kind_of_check("engine"), rise=1)),
        ("tcp", HealthRequest(interval=1.0, timeout=2.0)),
        ("tcp", HealthRequest(host="shop.example")),
    ],
)
def test_what_contradicts_itself_is_refused(before: str, request_: HealthRequest) -> None:
    with pytest.raises(UsageError):
        updated_check(health_check(before), request_)


def test_a_definition_without_a_word_about_health_has_none() -> None:
    service = updated(None, AttachRequest("web", 80))
    assert (service.health, service.fail) == (HealthCheck(), FailMode.OPEN)
    assert b"health" not in encode(service)
    assert b"fail" not in encode(service)


def test_a_definition_keeps_it() -> None:
    wanted = HealthRequest(kind_of_check("http:/up"), fall=2, fail=FailMode.CLOSED)
    service = updated(None, AttachRequest("web", 80, health=wanted))
    assert decode(encode(service)) == service
    assert b'"health": "http:/up interval=2s timeout=1s rise=2 fall=2"' in encode(service)
    again = updated(service, AttachRequest("web", 443))
    assert (again.health, again.fail) == (service.health, FailMode.CLOSED)


def test_datagrams_alone_need_a_port_to_probe() -> None:
    tcp = HealthRequest(kind_of_check("tcp"))
    with pytest.raises(UsageError, match="needs a TCP port"):
        updated(None, AttachRequest("dns", 53, Protocol.UDP, health=tcp))
    dns = updated(None, AttachRequest("dns", 53, Protocol.UDP, health=HealthRequest(kind_of_check("tcp:53"))))
    assert dns.health.port == 53


def test_with_none_the_engines_opinion_is_not_heard() -> None:
    fake = fake_host(container("web", "10.0.0.1", health=Health.UNHEALTHY))
    done = run(fake, health=HealthRequest(kind_of_check("none")))
    assert [replica.state for replica in done.replicas] == [ReplicaState.READY]


def test_with_an_agent_it_waits_until_a_probe_has_passed() -> None:
    fake = fake_host(container("web", "10.0.0.1"))
    fake.agent.running_pid, fake.health.is_probed = 4242, True
    with pytest.raises(WaitTimeoutError, match="web is starting: its health check has not passed yet"):
        run(fake, health=HealthRequest(kind_of_check("tcp")), timeout=1.0)
    assert slots(fake) == []


def test_without_an_agent_what_is_not_known_to_be_bad_is_served() -> None:
    fake = fake_host(container("web", "10.0.0.1"))
    done = run(fake, health=HealthRequest(kind_of_check("tcp")))
    assert [replica.state for replica in done.replicas] == [ReplicaState.READY]
    assert slots(fake) == ["10.0.0.1:80"]


def test_a_wait_does_not_take_an_unhealthy_replica_for_a_ready_one() -> None:
    fake = fake_host(container("web", "10.0.0.1", health=Health.UNHEALTHY))
    with pytest.raises(WaitTimeoutError, match="still serving \\(fail open\\)"):
        run(fake, timeout=1.0)
    assert slots(fake) == ["10.0.0.1:80"]
    closed = replace(fake.store.services["web"], fail=FailMode.CLOSED)
    fake.store.save(closed)
    with pytest.raises(WaitTimeoutError):
        run(fake, timeout=1.0)
    assert slots(fake) == []

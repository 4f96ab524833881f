"""Whoever attaches a port that nothing answers on is told."""

from dataclasses import replace

from netshare.core.model import CheckKind, Health, HealthCheck, Protocol
from netshare.operations.answering import with_answers
from netshare.operations.attach import Attached
from netshare.operations.health_request import HealthRequest
from tests.fakes.doors import Doors
from tests.fakes.driver import FakeClock
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host
from tests.unit.operations.attaching import run, static

THREE = tuple(container(f"web-{n}", f"172.17.0.{n + 1}") for n in (1, 2, 3))
WEB = ("172.17.0.2:80", "172.17.0.3:80", "172.17.0.4:80")


def told(attached: Attached, doors: Doors, clock: FakeClock | None = None) -> list[str]:
    before = attached.warnings
    after = with_answers(attached, doors, clock or FakeClock()).warnings
    assert after[: len(before)] == before
    return list(after[len(before) :])


def fake(**changes: object) -> FakeHost:
    return fake_host(*(replace(each, **changes) for each in THREE))  # type: ignore[arg-type]


def test_nothing_is_said_where_all_answer() -> None:
    doors, clock = Doors(), FakeClock()
    assert told(run(fake()), doors, clock) == []
    assert clock.now == FakeClock().now  # and nobody waits


def test_a_port_that_nobody_listens_on() -> None:
    [warning] = told(run(fake()), Doors(*WEB))
    assert warning == (
        "nothing takes connections on port 80 of web-1, web-2, web-3 so far (connection refused): "
        "if they listen on another, add --to PORT"
    )


def test_only_those_that_refuse_are_named() -> None:
    [warning] = told(run(fake()), Doors("172.17.0.3:80"))
    assert "port 80 of web-2 so far" in warning


def test_many_are_counted() -> None:
    many = fake_host(*(container(f"web-{n}", f"172.17.0.{n + 1}") for n in range(1, 6)))
    [warning] = told(run(many), Doors(*(f"172.17.0.{n + 1}:80" for n in range(1, 6))))
    assert "of web-1, web-2, web-3 and 2 more so far" in warning


def test_one_that_takes_a_moment_to_listen_is_waited_for() -> None:
    doors = Doors("172.17.0.4:80")
    clock = FakeClock(on_sleep=lambda _: doors.closed.clear())
    assert told(run(fake()), doors, clock) == []
    assert doors.knocks.count("172.17.0.2:80") == 1
    assert doors.knocks.count("172.17.0.4:80") == 2


def test_a_healthcheck_that_asks_another_port_hides_nothing() -> None:
    [warning] = told(run(fake(health=Health.HEALTHY)), Doors(*WEB))
    assert "port 80" in warning


def test_probes_of_netshares_own_are_not_anticipated() -> None:
    doors = Doors(*WEB)
    assert told(run(fake(), health=HealthRequest(HealthCheck(CheckKind.TCP)), wait=False), doors) == []
    assert doors.knocks == []


def test_datagrams_can_not_be_asked_about() -> None:
    doors = Doors(*WEB)
    assert told(run(fake(), protocol=Protocol.UDP), doors) == []
    assert doors.knocks == []


def test_only_the_port_that_was_attached_now_is_looked_at() -> None:
    host, doors = fake(), Doors()
    run(host)
    told(run(host, port=81, to=8081), doors)
    assert set(doors.knocks) == {"172.17.0.2:8081", "172.17.0.3:8081", "172.17.0.4:8081"}


def test_static_endpoints_have_no_other_port_to_name() -> None:
    [warning] = told(run(fake_host(), endpoints=static("10.0.0.9", port=5432)), Doors("10.0.0.9:5432"))
    assert warning == (
        "nothing takes connections on port 5432 of 10.0.0.9:5432 so far (connection refused): "
        "start what should listen there"
    )

"""What is measured while the agent works, driven by the real loop over fakes."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest
from prometheus_client import CollectorRegistry

from netshare.agent.inbox import Hint
from netshare.agent.loop import Loop, Pace
from netshare.core.event import Stage
from netshare.core.health import Probe
from netshare.core.model import CheckKind, Endpoint, HealthCheck, Listener, Service
from netshare.errors import NetfilterError
from netshare.health.probing import NotAskedError
from netshare.metrics.meter import Asking, Meter
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host
from tests.unit.agent.test_loop import ScriptedInbox, Step
from tests.unit.metrics.scrapes import Scrape, scraped, value

NOW_NS = 5_000_000_000


def run(fake: FakeHost, *steps: Step) -> Scrape:
    registry = CollectorRegistry()
    meter = Meter(registry)
    host = replace(fake.host, lap=meter.lap)
    Loop(host, ScriptedInbox(*steps), Pace(), lambda: NOW_NS, meter=meter).run()
    return scraped(registry)


@pytest.fixture
def fake() -> FakeHost:
    fake = fake_host(container("web-1", "172.17.0.2"))
    fake.store.save(Service("web", (Listener(80),)))
    return fake


def after(change: Callable[[], object], *hints: Hint) -> Step:
    def step() -> list[Hint]:
        change()
        return list(hints)

    return step


def test_every_stage_of_every_reconcile_is_timed(fake: FakeHost) -> None:
    found = run(fake, [Hint("again")])
    assert value(found, "netshare_reconcile_seconds_count") == 2
    stages = {dict(labels)["stage"] for labels in found["netshare_reconcile_stage_seconds_count"]}
    order = list(Stage)
    assert stages == {stage.value for stage in order[: order.index(Stage.RECONCILE)]}
    assert set(found["netshare_reconcile_stage_seconds_count"].values()) == {2}
    parts = sum(found["netshare_reconcile_stage_seconds_sum"].values())
    assert 0 < parts <= value(found, "netshare_reconcile_seconds_sum")


def test_what_became_of_them(fake: FakeHost) -> None:
    def refuse() -> None:
        fake.engine.running.append(container("web-2", "172.17.0.3"))
        fake.driver.failure = NetfilterError("no space left")

    found = run(fake, [], after(refuse), [])
    results = {
        name: value(found, "netshare_reconciles_total", result=name) for name in ("changed", "unchanged", "failed")
    }
    assert results == {"changed": 2, "unchanged": 1, "failed": 1}
    assert value(found, "netshare_reconcile_errors_total", code="kernel_refused") == 1
    assert value(found, "netshare_reconcile_errors_total", code="engine_unreachable") == 0


def test_only_others_changes_are_drift(fake: FakeHost) -> None:
    assert value(run(fake), "netshare_drift_repaired_total") == 0, "a first reconcile repairs nothing of its own"
    grown = after(lambda: fake.engine.running.append(container("web-2", "172.17.0.3")))
    found = run(fake, grown, after(fake.driver.tamper), [], after(fake.driver.remove_all))
    assert value(found, "netshare_drift_repaired_total") == 2


def test_from_the_event_to_the_kernel(fake: FakeHost) -> None:
    grow = lambda: fake.engine.running.append(container("web-2", "172.17.0.3"))  # noqa: E731
    found = run(fake, after(grow, Hint("docker start", NOW_NS - 20_000_000)), [Hint("docker die", NOW_NS - 9_000_000)])
    assert value(found, "netshare_event_to_kernel_seconds_count") == 1, "an event that changed nothing reached nothing"
    assert value(found, "netshare_event_to_kernel_seconds_sum") == pytest.approx(0.02)


def test_probes_by_outcome() -> None:
    registry = CollectorRegistry()
    meter = Meter(registry)
    probe = Probe("web", "1", Endpoint(ip_address("10.0.0.1"), 80), HealthCheck(CheckKind.TCP))

    async def passing(_: Probe) -> str | None:
        return None

    async def failing(_: Probe) -> str | None:
        return "HTTP 500"

    async def own_trouble(_: Probe) -> str | None:
        raise NotAskedError("too many open files")

    async def asked(how: Asking) -> str | None:
        return await meter.measured(how)(probe)

    assert asyncio.run(asked(passing)) is None
    assert asyncio.run(asked(failing)) == "HTTP 500"
    with pytest.raises(NotAskedError):
        asyncio.run(asked(own_trouble))
    found = scraped(registry)
    for outcome in ("passed", "failed", "not_asked"):
        assert value(found, "netshare_health_probe_seconds_count", outcome=outcome) == 1

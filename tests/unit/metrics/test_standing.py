"""How things stand, over a host of fakes, as a scrape tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from prometheus_client import CollectorRegistry

from netshare.core.model import Container, FailMode, Health, Listener, Protocol, Service
from netshare.core.ruleset import Target
from netshare.errors import NetfilterError
from netshare.metrics.standing import Standing
from netshare.reconcile import Prepared, reconcile
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host
from tests.unit.metrics.scrapes import Scrape, scraped, value
from tests.unit.operations.attaching import HTTP, endpoint


@dataclass
class Counts:
    """The kernel's counts, from a fake host; or none."""

    fake: FakeHost
    is_blind: bool = False

    def total(self) -> Mapping[Target, int]:
        if self.is_blind:
            raise NetfilterError("the kernel does not tell")
        return self.fake.driver.connections()

    def active(self) -> Mapping[Target, int]:
        return self.fake.connections.open


@dataclass(frozen=True)
class Engine:
    name: str
    is_up: bool
    subscriptions: int


@dataclass
class Scene:
    fake: FakeHost
    most: int = 100
    prepared: Prepared | None = None
    counts: Counts = field(init=False)

    def __post_init__(self) -> None:
        self.counts = Counts(self.fake)

    def scrape(self) -> Scrape:
        registry = CollectorRegistry()
        engines = (Engine("docker", is_up=True, subscriptions=3), Engine("podman", is_up=False, subscriptions=0))
        registry.register(Standing(lambda: self.prepared, self.counts, engines, most_replicas=self.most))
        return scraped(registry)


def scene(*containers: Container, fail: FailMode = FailMode.OPEN) -> Scene:
    fake = fake_host(*containers)
    fake.store.save(Service("web", (Listener(80),), fail=fail))
    return Scene(fake, prepared=reconcile(fake.host))


def test_before_the_first_reconcile_only_engines_are_known() -> None:
    found = replace(scene(), prepared=None).scrape()
    assert value(found, "netshare_engine_up", engine="docker") == 1
    assert value(found, "netshare_engine_up", engine="podman") == 0
    assert value(found, "netshare_engine_subscriptions_total", engine="docker") == 3
    assert "netshare_services" not in found


def test_replicas_by_state_and_their_connections() -> None:
    made = scene(container("web-1", "172.17.0.2"), container("web-2", "172.17.0.3", health=Health.UNHEALTHY))
    made.fake.driver.connect(HTTP, 7)
    made.fake.connections.open[Target(Protocol.TCP, endpoint("172.17.0.2", 80))] = 3
    found = made.scrape()
    assert value(found, "netshare_services", source="attach") == 1
    assert value(found, "netshare_services", source="labels") == 0
    states = {state: value(found, "netshare_replicas", service="web", state=state) for state in ("ready", "unhealthy")}
    assert states == {"ready": 1, "unhealthy": 1}
    assert value(found, "netshare_replicas", service="web", state="draining") == 0
    one, two = ({"service": "web", "replica": name, "engine": "docker"} for name in ("web-1", "web-2"))
    assert value(found, "netshare_replica_connections_total", **one) == 7
    assert value(found, "netshare_replica_connections_active", **one) == 3
    assert value(found, "netshare_replica_connections_total", **two) == 0
    assert value(found, "netshare_connections_readable") == 1
    assert value(found, "netshare_service_failing_open", service="web") == 0


def test_fail_open_is_told() -> None:
    ill = container("web-1", "172.17.0.2", health=Health.UNHEALTHY)
    assert value(scene(ill).scrape(), "netshare_service_failing_open", service="web") == 1
    closed = scene(ill, fail=FailMode.CLOSED).scrape()
    assert value(closed, "netshare_service_failing_open", service="web") == 0


def test_a_kernel_that_does_not_tell_leaves_all_else() -> None:
    made = scene(container("web-1", "172.17.0.2"))
    made.counts.is_blind = True
    found = made.scrape()
    assert value(found, "netshare_connections_readable") == 0
    assert "netshare_replica_connections_total" not in found
    assert value(found, "netshare_replicas", service="web", state="ready") == 1


def test_series_are_bounded_and_what_is_left_out_is_counted() -> None:
    made = scene(*(container(f"web-{number}", f"172.17.1.{number}") for number in range(1, 11)))
    made.most = 4
    found = made.scrape()
    assert len(found["netshare_replica_connections_total"]) == 4
    assert value(found, "netshare_replicas_left_out") == 6
    assert value(found, "netshare_replicas", service="web", state="ready") == 10


@pytest.mark.parametrize("name", ['a"} 1\nnetshare_services 9', "\ud800\x1b[2J", "x" * 10_000, "é\\n", ""])
def test_no_name_breaks_a_scrape(name: str) -> None:
    labels = {"netshare.service": "web"}
    found = scene(container(name, "172.17.0.2", labels=labels), container(name, "172.17.0.3", labels=labels)).scrape()
    [series] = found["netshare_replica_connections_total"]
    shown = dict(series)["replica"]
    assert shown.isprintable()
    assert len(shown) <= 128
    assert value(found, "netshare_services", source="attach") == 1

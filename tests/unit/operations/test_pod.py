from ipaddress import ip_address

import pytest

from netshare.core.model import Listener, Protocol, Service
from netshare.core.pods import Published
from netshare.engine.pods import Replica, Sandbox
from netshare.errors import (
    EngineUnreachableError,
    NetshareError,
    NotFoundError,
    PortConflictError,
    UsageError,
)
from netshare.operations import pod as operation
from netshare.operations.pod import AddRequest, Created
from tests.fakes.pods import FakePods

HTTP = Published(80, 8080)


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def fake() -> FakePods:
    return FakePods()


def create(fake: FakePods, *ports: Published, services: tuple[Service, ...] = (), image: str | None = None) -> Created:
    return operation.create({fake.name: fake}, services, Sandbox("web", ports or (HTTP,), image))


def add(fake: FakePods, count: int = 1, image: str = "my/web") -> tuple[str, ...]:
    return operation.add({fake.name: fake}, AddRequest("web", image, count), Clock()).names


def remove(fake: FakePods, replica: str | None = None) -> tuple[str, ...]:
    return operation.remove({fake.name: fake}, "web", replica, 7.0).containers


def test_a_pod_is_made_once(fake: FakePods) -> None:
    fake.warnings = ("old kernel",)
    assert create(fake).warnings == ("old kernel",)
    again = create(fake)
    assert (again.changed, again.pod.name) == (False, "web")
    assert fake.started == [Sandbox("web", (HTTP,))]


def test_with_other_ports_it_is_another_pod(fake: FakePods) -> None:
    create(fake)
    with pytest.raises(NetshareError, match="publishes 80:8080/tcp"):
        create(fake, HTTP, Published(443, 8443))
    assert create(fake, HTTP, HTTP).changed is False


def test_a_pod_needs_a_port_and_each_once(fake: FakePods) -> None:
    with pytest.raises(UsageError, match="without a published port"):
        operation.create({"docker": fake}, (), Sandbox("web", ()))
    with pytest.raises(UsageError, match="one port of the host"):
        create(fake, HTTP, Published(80, 8081))
    assert create(fake, HTTP, Published(80, 8081, Protocol.UDP)).changed
    assert len(fake.here) == 1


def test_a_service_keeps_its_port(fake: FakePods) -> None:
    attached = (Service("shop", (Listener(80, address=ip_address("10.0.0.1")),)),)
    with pytest.raises(PortConflictError, match="80/tcp belongs to service shop"):
        create(fake, services=attached)
    with pytest.raises(PortConflictError):
        create(fake, Published(80, 8080, address=ip_address("10.0.0.1")), services=attached)
    assert not fake.here
    assert create(fake, Published(80, 8080, address=ip_address("10.0.0.2")), services=attached).changed


def test_an_image_that_is_not_here(fake: FakePods) -> None:
    with pytest.raises(NotFoundError):
        create(fake, image="none")
    create(fake)
    with pytest.raises(NotFoundError):
        add(fake, image="none")
    assert list(fake.here) == ["web-pod"]


def test_replicas_are_named_and_told_their_names(fake: FakePods) -> None:
    create(fake)
    request = AddRequest("web", "my/web", 2, ("serve",), (("MODE", "fast"),))
    operation.add({"docker": fake}, request, Clock())
    variables = (("NETSHARE_REPLICA", "web-1"), ("MODE", "fast"))
    assert fake.started[1] == Replica("web", "web-1", "my/web", ("serve",), variables)
    assert remove(fake, "web-1") == ("web-1",)
    assert add(fake, 2) == ("web-1", "web-3")


def test_a_name_that_is_taken(fake: FakePods) -> None:
    create(fake)
    fake.taken = {"web-2"}
    with pytest.raises(NetshareError, match=r"called web-2 is there already \(web-1 run"):
        add(fake, 3)
    assert list(fake.here) == ["web-pod", "web-1"]


def test_a_replica_that_ends_at_once(fake: FakePods) -> None:
    create(fake)
    with pytest.raises(NetshareError, match=r"web-1 ended at once .*address in use") as raised:
        add(fake, image="broken")
    assert raised.value.hint is not None
    assert "SO_REUSEPORT" in raised.value.hint


def test_a_sandbox_that_stopped_is_started_with_its_replicas(fake: FakePods) -> None:
    create(fake)
    add(fake, 2)
    fake.stop("web-pod")
    fake.stop("web-2")
    with pytest.raises(NetshareError, match="does not run: Exited") as raised:
        add(fake)
    assert raised.value.hint == "start the pod again: netshare pod create web --publish 80:8080/tcp"
    assert create(fake).changed
    assert all(member.is_running for member in fake.members())
    assert [name for name, _ in fake.graces] == ["web-1", "web-2"]


def test_a_pod_whose_sandbox_is_gone_can_only_be_removed(fake: FakePods) -> None:
    create(fake)
    add(fake)
    del fake.here["web-pod"]
    for attempt in (add, create):
        with pytest.raises(NetshareError, match="lost its sandbox"):
            attempt(fake)
    assert remove(fake) == ("web-1",)


def test_a_pod_is_removed_sandbox_last(fake: FakePods) -> None:
    create(fake)
    add(fake, 2)
    assert remove(fake) == ("web-1", "web-2", "web-pod")
    assert [grace for _, grace in fake.graces] == [7.0] * 3
    with pytest.raises(NotFoundError, match="no pod is called web"):
        remove(fake)


def test_a_replica_by_its_name_or_the_beginning_of_its_id(fake: FakePods) -> None:
    create(fake)
    add(fake, 2)
    with pytest.raises(NotFoundError, match="several replicas"):
        remove(fake, "id-of-web")
    with pytest.raises(NotFoundError, match="has no replica 'web-pod'"):
        remove(fake, "web-pod")
    assert remove(fake, "id-of-web-2") == ("web-2",)


def test_two_engines(fake: FakePods) -> None:
    podman = FakePods("podman")
    both = {"docker": fake, "podman": podman}
    operation.create(both, (), Sandbox("web", (HTTP,)))
    operation.create({"podman": podman}, (), Sandbox("shop", (Published(81, 8080),)))
    assert [(pod.name, pod.engine) for pod in operation.list_pods(both)] == [("shop", "podman"), ("web", "docker")]
    operation.create({"podman": podman}, (), Sandbox("web", (HTTP,)))
    with pytest.raises(UsageError, match="docker and podman both have a pod web"):
        operation.find(both, "web")


def test_an_engine_that_is_not_there_and_one_that_does_not_answer(fake: FakePods) -> None:
    podman = FakePods("podman")
    both = {"docker": fake, "podman": podman}
    fake.failure = FakePods.absent("docker")
    created = operation.create(both, (), Sandbox("web", (HTTP,)))
    assert created.pod.engine == "podman"
    podman.failure = FakePods.absent("podman")
    with pytest.raises(EngineUnreachableError, match="docker does not answer; podman does not answer"):
        operation.list_pods(both)
    podman.failure = EngineUnreachableError("podman hangs")
    fake.failure = None
    with pytest.raises(EngineUnreachableError, match="podman hangs"):
        operation.list_pods(both)


def test_a_name_that_nearly_is_one(fake: FakePods) -> None:
    create(fake)
    with pytest.raises(NotFoundError) as raised:
        operation.find({"docker": fake}, "wep")
    assert raised.value.hint is not None
    assert raised.value.hint.startswith("did you mean web? ")

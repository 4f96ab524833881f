import pytest

from netshare.core.model import Container, ReplicaState, Service, Source
from netshare.errors import (
    DefinitionError,
    EngineUnreachableError,
    NetfilterError,
    NotFoundError,
    UsageError,
    WaitTimeoutError,
)
from netshare.operations.status import status
from netshare.operations.weight import Weighed, weigh
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host
from tests.unit.operations.attaching import run, slots, static


def web(number: int, **labels: str) -> Container:
    named = {f"netshare.{key}": value for key, value in labels.items()}
    return container(f"web-{number}", f"172.17.0.{number}", labels=named)


def served(*containers: Container) -> FakeHost:
    fake = fake_host(*(containers or (web(2), web(3))))
    run(fake)
    return fake


def change(fake: FakeHost, word: str, weight: int, name: str = "web") -> Weighed:
    return weigh(fake.host, fake.agent, name, word, weight)


def shares(fake: FakeHost) -> dict[str, int]:
    held = slots(fake)
    return {slot: held.count(slot) for slot in held}


def weights(fake: FakeHost) -> dict[str, int]:
    found = status(fake.host, fake.agent, fake.connections)
    return {each.replica.name: each.replica.weight for service in found.services for each in service.replicas}


def test_at_run_time() -> None:
    fake = served()
    weighed = change(fake, "web-2", 3)
    assert weighed == Weighed("web", "web-2", 3, (("web-2", 3), ("web-3", 1)), changed=True)
    assert shares(fake) == {"172.17.0.2:80": 3, "172.17.0.3:80": 1}
    assert fake.store.services["web"].weights == (("web-2", 3),)
    assert weights(fake) == {"web-2": 3, "web-3": 1}
    writes = fake.store.writes
    assert not change(fake, "web-2", 3).changed
    assert fake.store.writes == writes


def test_none_at_all_is_ready_and_gets_nothing() -> None:
    fake = served()
    change(fake, "web-2", 0)
    assert shares(fake) == {"172.17.0.3:80": 1}
    found = status(fake.host, fake.agent, fake.connections)
    assert [each.replica.state for each in found.services[0].replicas] == [ReplicaState.READY] * 2
    change(fake, "web-3", 0)
    assert shares(fake) == {}
    change(fake, "web-2", 1)
    assert shares(fake) == {"172.17.0.2:80": 1}


def test_what_is_said_by_hand_goes_before_the_label() -> None:
    fake = served(web(2, weight="5"), web(3, weight="0"), web(4))
    assert shares(fake) == {"172.17.0.2:80": 5, "172.17.0.4:80": 1}
    change(fake, "web-3", 2)
    change(fake, "web-2", 1)
    assert shares(fake) == {"172.17.0.2:80": 1, "172.17.0.3:80": 2, "172.17.0.4:80": 1}


def test_it_is_kept_for_whoever_has_the_name() -> None:
    fake = served()
    change(fake, "web-2", 3)
    fake.engine.running = [web(3), container("web-2", "172.17.0.9")]
    run(fake)
    assert shares(fake) == {"172.17.0.3:80": 1, "172.17.0.9:80": 3}


class TestWhichReplica:
    def test_by_the_beginning_of_its_id(self) -> None:
        fake = served()
        assert change(fake, "id-of-web-3", 2).replica == "web-3"
        with pytest.raises(NotFoundError, match="several replicas of web have an id that begins with id-of"):
            change(fake, "id-of", 2)

    def test_none_that_there_is(self) -> None:
        fake = served()
        writes = fake.store.writes
        with pytest.raises(NotFoundError, match="web has no replica 'wbe-2'") as refused:
            change(fake, "wbe-2", 2)
        assert "did you mean web-2" in (refused.value.hint or "")
        assert fake.store.writes == writes
        with pytest.raises(NotFoundError, match="no service is called shop"):
            change(fake, "web-2", 2, name="shop")

    def test_a_static_one_by_its_address(self) -> None:
        fake = fake_host()
        run(fake, endpoints=static("10.0.0.2", "10.0.0.20", "fd00::2"))
        change(fake, "10.0.0.2", 2)
        change(fake, "fd00::2", 7)
        assert shares(fake) == {"10.0.0.2:80": 2, "10.0.0.20:80": 1}
        with pytest.raises(NotFoundError):
            change(fake, "10.0.0", 2)


class TestOfAttach:
    def test_with_it(self) -> None:
        fake = fake_host(web(2), web(3))
        run(fake, weights=(("web-2", 3), ("id-of-web-3", 2)))
        assert shares(fake) == {"172.17.0.2:80": 3, "172.17.0.3:80": 2}
        assert not run(fake).changed
        assert run(fake, weights=(("web-2", 1),)).changed
        assert shares(fake) == {"172.17.0.2:80": 1, "172.17.0.3:80": 2}

    def test_unknown_or_contradictory(self) -> None:
        fake = fake_host(web(2))
        with pytest.raises(NotFoundError, match="web has no replica"):
            run(fake, weights=(("web-9", 3),))
        with pytest.raises(UsageError, match="--weight gives web-2 both 3 and 4"):
            run(fake, weights=(("web-2", 3), ("id-of-web-2", 4)))
        assert fake.store.services == {}

    def test_in_advance(self) -> None:
        fake = fake_host()
        run(fake, weights=(("web-2", 3),), wait=False)
        fake.engine.running = [web(2), web(3)]
        run(fake)
        assert shares(fake) == {"172.17.0.2:80": 3, "172.17.0.3:80": 1}

    def test_waiting_for_replicas_that_get_nothing_ends(self) -> None:
        fake = fake_host(web(2, weight="0"))
        with pytest.raises(WaitTimeoutError, match="web-2 is ready: its weight is 0"):
            run(fake, timeout=1.0)


class TestOfLabels:
    def test_only_the_weight_is_kept(self) -> None:
        fake = fake_host(*(web(number, service="web", port="80", weight="2") for number in (2, 3)))
        change(fake, "web-2", 6)
        assert shares(fake) == {"172.17.0.2:80": 3, "172.17.0.3:80": 1}
        assert fake.store.services["web"] == Service("web", (), source=Source.LABELS, weights=(("web-2", 6),))
        assert weights(fake) == {"web-2": 6, "web-3": 2}

    def test_it_is_no_service_by_itself(self) -> None:
        fake = fake_host(web(2, service="web", port="80"))
        change(fake, "web-2", 6)
        fake.engine.running = []
        assert weights(fake) == {}
        with pytest.raises(NotFoundError):
            change(fake, "web-2", 5)
        with pytest.raises(NotFoundError):
            status(fake.host, fake.agent, fake.connections, "web")

    def test_attached_later_it_keeps_it(self) -> None:
        fake = fake_host(web(2, service="web", port="80"), web(3, service="web"))
        change(fake, "web-2", 6)
        run(fake)
        assert fake.store.services["web"].source is Source.ATTACH
        assert shares(fake) == {"172.17.0.2:80": 6, "172.17.0.3:80": 1}


def test_what_goes_wrong_changes_nothing() -> None:
    fake = served()
    before = fake.store.services["web"]
    fake.driver.failure = NetfilterError("refused")
    with pytest.raises(NetfilterError):
        change(fake, "web-2", 3)
    assert fake.store.services["web"] == before
    fake.engine.die()
    with pytest.raises(EngineUnreachableError):
        change(fake, "web-2", 3)
    fake.store.corrupt("web")
    with pytest.raises(DefinitionError):
        change(fake, "web-2", 3)


def test_by_the_agent_where_one_runs() -> None:
    fake = served()
    fake.agent.running_pid = 4242
    change(fake, "web-2", 3)
    assert fake.agent.syncs == 1
    assert shares(fake) == {"172.17.0.2:80": 3, "172.17.0.3:80": 1}

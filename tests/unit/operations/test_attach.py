from dataclasses import replace
from ipaddress import ip_address

import pytest

from netshare.core.model import ContainerStatus, Health, Listener, Protocol, PublishedPort, ReplicaState, Service
from netshare.core.ruleset import Match
from netshare.errors import (
    DefinitionError,
    EngineUnreachableError,
    NetfilterError,
    NetshareError,
    NotFoundError,
    NotPermittedError,
    PortConflictError,
    UsageError,
    WaitTimeoutError,
)
from netshare.operations.attach import dry_run
from netshare.operations.waiting import Waiting
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host
from tests.unit.operations.attaching import HTTP, HTTP6, WEB, names, run, slots, static


def three_replicas() -> FakeHost:
    return fake_host(*(container(f"shop-web-{n}", f"172.18.0.{n + 2}", labels=compose("web")) for n in (1, 2, 3)))


def compose(service: str) -> dict[str, str]:
    return {"com.docker.compose.project": "shop", "com.docker.compose.service": service}


def test_three_replicas_are_served_at_once() -> None:
    fake = three_replicas()
    attached = run(fake)
    assert [r.state for r in attached.replicas] == [ReplicaState.READY] * 3
    assert slots(fake) == ["172.18.0.3:80", "172.18.0.4:80", "172.18.0.5:80"]
    assert fake.driver.observe().ruleset.dispatches[HTTP6].slots == ()
    assert fake.store.services["web"] == Service("web", (Listener(80),))
    assert fake.forwarding.needed is True
    assert attached.changed
    assert not attached.agent.is_running


def test_the_same_words_again_change_nothing() -> None:
    fake = three_replicas()
    run(fake)
    writes, commits = fake.store.writes, len(fake.driver.committed)
    again = run(fake)
    assert not again.changed
    assert (fake.store.writes, len(fake.driver.committed)) == (writes, commits)


def test_other_words_change_the_listener() -> None:
    fake = three_replicas()
    run(fake)
    assert run(fake, to=8080).changed
    assert slots(fake) == ["172.18.0.3:8080", "172.18.0.4:8080", "172.18.0.5:8080"]
    assert fake.store.services["web"].listeners == (Listener(80, to=8080),)


def test_what_is_not_said_again_stays() -> None:
    fake = three_replicas()
    run(fake, to=8080, network="bridge")
    assert not run(fake).changed
    assert fake.store.services["web"] == Service("web", (Listener(80, to=8080),), network="bridge")


def test_a_second_port_adds_a_listener() -> None:
    fake = three_replicas()
    run(fake)
    attached = run(fake, port=53, protocol=Protocol.UDP, to=5353)
    assert fake.store.services["web"].listeners == (Listener(80), Listener(53, Protocol.UDP, None, 5353))
    assert attached.listeners == (Listener(53, Protocol.UDP, None, 5353),)
    assert {match.protocol for match in fake.driver.observe().ruleset.dispatches} == {Protocol.TCP, Protocol.UDP}


def test_listening_on_some_addresses_only() -> None:
    fake = three_replicas()
    run(fake, listen=(ip_address("10.0.0.1"), ip_address("fd00::1")))
    assert {str(match) for match in fake.driver.observe().ruleset.dispatches} == {
        "ip tcp 10.0.0.1:80",
        "ip6 tcp [fd00::1]:80",
    }


def test_the_one_exposed_port_is_the_target() -> None:
    fake = fake_host(container("web", "172.17.0.2", exposed=(8080,)))
    run(fake)
    assert slots(fake) == ["172.17.0.2:8080"]


def test_several_candidate_ports_are_named() -> None:
    fake = fake_host(container("web", "172.17.0.2", exposed=(8080, 9090)))
    with pytest.raises(UsageError, match="web exposes several tcp ports: 8080, 9090") as refused:
        run(fake)
    assert "--to 8080" in (refused.value.hint or "")
    assert_untouched(fake)
    run(fake, to=9090)
    assert slots(fake) == ["172.17.0.2:9090"]


def test_an_unknown_name_says_what_is_near() -> None:
    fake = fake_host(container("webapp", "172.17.0.2"), container("db", "172.17.0.3", labels=compose("webb")))
    with pytest.raises(NotFoundError, match="no container matches web") as refused:
        run(fake)
    hint = refused.value.hint or ""
    assert "webb" in hint
    assert "webapp" in hint
    assert "docker ps" in hint
    assert "--no-wait" in hint
    assert_untouched(fake)


def test_a_label_that_no_container_has() -> None:
    with pytest.raises(NotFoundError, match="no container has the label app=web"):
        run(fake_host(container("web", "172.17.0.2")), select=(("app", "web"),))


def test_attached_in_advance() -> None:
    fake = fake_host()
    attached = run(fake, wait=False)
    assert attached.replicas == ()
    assert "web" in fake.store.services
    assert slots(fake) == []


def test_a_silent_engine_saves_nothing() -> None:
    fake = three_replicas()
    fake.engine.die()
    for wait in (True, False):
        with pytest.raises(EngineUnreachableError) as refused:
            run(fake, wait=wait)
        assert refused.value.hint
        assert_untouched(fake)


def test_static_replicas_need_no_engine() -> None:
    fake = fake_host()
    fake.engine.die()
    attached = run(fake, endpoints=static("10.0.0.2", "10.0.0.3", port=8080))
    assert names(attached.replicas) == ["10.0.0.2:8080", "10.0.0.3:8080"]
    assert slots(fake) == ["10.0.0.2:8080", "10.0.0.3:8080"]


def test_endpoints_replace_those_that_were_there() -> None:
    fake = fake_host()
    run(fake, endpoints=static("10.0.0.2", "10.0.0.3"))
    run(fake, endpoints=static("10.0.0.4", "10.0.0.4"))
    assert slots(fake) == ["10.0.0.4:80"]
    run(fake, port=443)
    assert fake.store.services["web"].endpoints == static("10.0.0.4")


def test_replicas_are_listed_or_looked_for_never_both() -> None:
    fake = three_replicas()
    for words in ({"select": (("a", "b"),)}, {"network": "n"}, {"engine": "docker"}):
        with pytest.raises(UsageError, match="--endpoint lists"):
            run(fake, endpoints=static("10.0.0.2"), **words)
    with pytest.raises(UsageError, match="--engine static needs"):
        run(fake, engine="static")
    run(fake, endpoints=static("10.0.0.2"), engine="static")
    assert not run(fake, engine="static").changed
    run(fake, engine="docker")
    assert fake.store.services["web"].endpoints == ()
    assert len(slots(fake)) == 3


def test_a_label_has_one_value() -> None:
    with pytest.raises(UsageError, match="app=web and app=api"):
        run(three_replicas(), select=(("app", "web"), ("app", "api")))


def test_an_engine_or_driver_that_is_not_here() -> None:
    fake = three_replicas()
    with pytest.raises(UsageError, match="engine podman is not available here") as refused:
        run(fake, engine="podman")
    assert refused.value.hint == "choose docker or static"
    with pytest.raises(UsageError, match="driver iptables can't be used here"):
        run(fake, driver="iptables")
    run(fake, driver="nftables")
    assert fake.store.services["web"].driver == "nftables"


def test_another_service_has_the_port() -> None:
    fake = three_replicas()
    run(fake)
    for force in (False, True):
        with pytest.raises(PortConflictError, match="80/tcp belongs to service web") as refused:
            run(fake, name="api", endpoints=static("10.0.0.2"), force=force)
        assert "netshare detach web 80/tcp" in (refused.value.hint or "")
    run(fake, name="api", endpoints=static("10.0.0.2"), listen=(ip_address("10.0.0.1"),))
    assert fake.store.services.keys() == {"web", "api"}


def test_a_service_that_can_not_be_read_keeps_its_port() -> None:
    fake = three_replicas()
    run(fake, name="old", endpoints=static("10.0.0.9"))
    fake.store.corrupt("old")
    with pytest.raises(PortConflictError, match="80/tcp belongs to service old, whose definition can't be read"):
        run(fake)


def test_another_container_publishes_the_port() -> None:
    fake = three_replicas()
    fake.engine.running.append(container("proxy", "172.17.0.9", published=(PublishedPort(80, Protocol.TCP),)))
    with pytest.raises(PortConflictError, match=r"80/tcp is published by container proxy \(docker\)") as refused:
        run(fake)
    assert "--force" in (refused.value.hint or "")
    assert_untouched(fake)
    run(fake, port=80, protocol=Protocol.UDP)
    forced = run(fake, force=True)
    assert forced.changed
    assert forced.warnings == (
        "80/tcp is published by container proxy (docker): its new connections go to the replicas from now on",
    )
    assert not run(fake).changed  # what was taken by force is kept without


def test_a_port_published_on_one_address_leaves_the_others_free() -> None:
    loopback = PublishedPort(80, Protocol.TCP, ip_address("127.0.0.1"))
    fake = three_replicas()
    fake.engine.running.append(container("proxy", "172.17.0.9", published=(loopback,)))
    with pytest.raises(PortConflictError):
        run(fake)
    run(fake, listen=(ip_address("10.0.0.1"),))


def test_a_listening_socket_has_the_port() -> None:
    fake = three_replicas()
    fake.sockets.listening[80] = ["nginx (pid 4242)"]
    with pytest.raises(PortConflictError, match=r"80/tcp is in use by nginx \(pid 4242\)"):
        run(fake)
    assert_untouched(fake)
    assert run(fake, force=True).warnings == (
        "80/tcp is in use by nginx (pid 4242): its new connections go to the replicas from now on",
    )
    assert not run(fake).changed


def test_the_engines_own_process_is_not_named_beside_the_container() -> None:
    fake = three_replicas()
    fake.engine.running.append(container("proxy", "172.17.0.9", published=(PublishedPort(80, Protocol.TCP),)))
    fake.sockets.listening = {80: ["docker-proxy (pid 5)"], 81: ["nginx (pid 4242)"]}
    assert [warning.partition(" by ")[2].partition(":")[0] for warning in run(fake, force=True).warnings] == [
        "container proxy (docker)"
    ]


def test_nothing_is_said_of_force_where_nobody_has_the_port() -> None:
    assert run(three_replicas(), force=True).warnings == ()


def test_force_goes_on_where_the_kernel_does_not_tell_who_listens() -> None:
    fake = three_replicas()
    fake.sockets.blindness = NetfilterError("could not ask the kernel who listens")
    with pytest.raises(NetfilterError):
        run(fake)
    assert_untouched(fake)
    assert run(fake, force=True).changed


@pytest.mark.parametrize("wait", [True, False])
def test_replicas_that_can_not_be_reached_are_named_with_their_reasons(wait: bool) -> None:  # noqa: FBT001
    fake = fake_host(
        container("web-1", obstacle="it uses the host's network"),
        container("web-2", obstacle="its engine is rootless"),
    )
    with pytest.raises(
        NetshareError,
        match="web-1: it uses the host's network; web-2: its engine is rootless",
    ) as refused:
        run(fake, wait=wait)
    assert refused.value.exit_code == 1
    assert_untouched(fake)


def test_some_that_can_not_be_reached_are_a_warning() -> None:
    fake = fake_host(container("web-1", "172.17.0.2"), container("web-2", obstacle="it uses the host's network"))
    attached = run(fake)
    assert attached.warnings == ("web-2 gets no traffic: it uses the host's network",)
    assert slots(fake) == ["172.17.0.2:80"]


def test_an_obstacle_is_seen_before_the_health_check_has_passed() -> None:
    fake = fake_host(container("web", obstacle="it uses the host's network", health=Health.STARTING))
    with pytest.raises(NetshareError, match="it uses the host's network"):
        run(fake)


def test_several_networks_ask_for_one() -> None:
    one = container("web", "172.18.0.2", network="front")
    both = replace(one, attachments=(*one.attachments, *container("x", "172.19.0.2", network="back").attachments))
    fake = fake_host(both)
    with pytest.raises(UsageError, match="several networks: back, front") as refused:
        run(fake)
    assert "--network back" in (refused.value.hint or "")
    run(fake, network="front")
    assert slots(fake) == ["172.18.0.2:80"]


def test_a_replica_of_the_wrong_family() -> None:
    with pytest.raises(NetshareError, match="none of its addresses is of the family"):
        run(fake_host(), endpoints=static("fd00::2"), listen=(ip_address("10.0.0.1"),))


def test_waits_until_a_replica_is_healthy() -> None:
    fake = fake_host(container("web", "172.17.0.2", health=Health.STARTING))
    seen = []

    def pass_the_check(now: float) -> None:
        if now > 1003:
            fake.engine.running[0] = container("web", "172.17.0.2", health=Health.HEALTHY)

    def remember(waiting: Waiting) -> None:
        seen.append(waiting)

    attached = run(fake, on_sleep=pass_the_check, progress=remember)
    assert attached.replicas[0].state is ReplicaState.READY
    assert slots(fake) == ["172.17.0.2:80"]
    assert seen[0].seconds == 0
    assert seen[-1].seconds == pytest.approx(3, abs=0.3)
    assert seen[0].replicas[0].reason == "its HEALTHCHECK has not passed yet"


def test_with_an_agent_the_agent_does_it() -> None:
    fake = fake_host(container("web", "172.17.0.2", health=Health.STARTING))
    fake.agent.running_pid = 4242

    def the_agent_follows(now: float) -> None:
        fake.engine.running[0] = container("web", "172.17.0.2")
        if now > 1002:
            fake.agent.sync()

    attached = run(fake, on_sleep=the_agent_follows)
    assert attached.agent.pid == 4242
    assert attached.replicas[0].state is ReplicaState.READY
    # A verb with an agent beside it only looks: the second commit is the agent's.
    assert len(fake.driver.committed) == 2


def test_gives_up_in_time_and_says_why() -> None:
    fake = fake_host(container("web", "172.17.0.2", status=ContainerStatus.EXITED))
    with pytest.raises(WaitTimeoutError, match="after 2 s: web is gone: the container is exited") as gave_up:
        run(fake, timeout=2.0)
    assert "the definition stays" in (gave_up.value.hint or "")
    assert "web" in fake.store.services


def test_a_wait_of_no_time_looks_once() -> None:
    fake = fake_host(container("web", "172.17.0.2", status=ContainerStatus.EXITED))
    with pytest.raises(WaitTimeoutError):
        run(fake, timeout=0.0)
    fake.engine.running[0] = container("web", "172.17.0.2")
    run(fake, timeout=0.0)


def test_detached_by_someone_else_while_waiting() -> None:
    fake = fake_host(container("web", "172.17.0.2", health=Health.STARTING))
    with pytest.raises(NotFoundError, match="detached in the meantime"):
        run(fake, on_sleep=lambda _: fake.store.services.clear())


def test_an_engine_that_falls_silent_while_waiting() -> None:
    fake = fake_host(container("web", "172.17.0.2", health=Health.STARTING))
    with pytest.raises(WaitTimeoutError, match="there is none"):
        run(fake, on_sleep=lambda _: fake.engine.die())


def test_a_kernel_that_refuses_leaves_no_definition() -> None:
    fake = three_replicas()
    fake.driver.failure = NetfilterError("the kernel refused map services")
    with pytest.raises(NetfilterError, match="refused map services"):
        run(fake)
    assert fake.store.services == {}


def test_a_kernel_that_refuses_leaves_the_definition_as_it_was() -> None:
    fake = three_replicas()
    run(fake)
    fake.driver.failure = NetfilterError("refused")
    with pytest.raises(NetfilterError):
        run(fake, to=8080)
    assert fake.store.services["web"].listeners == (Listener(80),)
    assert slots(fake) == ["172.18.0.3:80", "172.18.0.4:80", "172.18.0.5:80"]


def test_a_late_failure_takes_the_kernel_back_too() -> None:
    fake = three_replicas()
    fake.forwarding.failure = NetfilterError("DOCKER-USER could not be changed")
    with pytest.raises(NetfilterError, match="DOCKER-USER"):
        run(fake)
    assert fake.store.services == {}
    assert not fake.driver.observe().ruleset.dispatches


def test_what_the_agent_met_is_raised() -> None:
    fake = three_replicas()
    fake.agent.running_pid = 4242
    fake.agent.failure = NetfilterError("refused")
    with pytest.raises(NetfilterError):
        run(fake)
    assert fake.store.services == {}


def test_without_the_right_to_ask_the_kernel_nothing_is_saved() -> None:
    fake = three_replicas()
    fake.driver.blindness = NotPermittedError("needs CAP_NET_ADMIN")
    with pytest.raises(NotPermittedError):
        run(fake)
    assert fake.store.writes == 0


def test_a_corrupt_definition_is_not_written_over() -> None:
    fake = three_replicas()
    fake.store.corrupt("web")
    with pytest.raises(DefinitionError):
        run(fake)
    assert_untouched(fake)


def test_a_corrupt_definition_of_another_is_a_warning() -> None:
    fake = three_replicas()
    fake.store.corrupt("old")
    assert run(fake).warnings == ("the definition of old can't be used",)


def test_a_dry_run_shows_and_changes_nothing() -> None:
    fake = three_replicas()
    fake.lock.is_held = True  # the lock's directory would be made: a dry run must not take it
    shown = dry_run(fake.host, fake.sockets, WEB)
    assert "ip tcp 80 -> web: 172.18.0.3:80, 172.18.0.4:80, 172.18.0.5:80" in shown
    assert_untouched(fake)
    with pytest.raises(NotFoundError):
        dry_run(fake.host, fake.sockets, replace(WEB, name="nothing"))


def test_new_connections_are_counted() -> None:
    fake = three_replicas()
    run(fake)
    assert len(fake.driver.connect(HTTP, 6)) == 6
    assert sum(fake.driver.observe().connections.values()) == 6
    assert fake.driver.connect(Match(HTTP6.family, HTTP6.protocol, 80)) == []


def assert_untouched(fake: FakeHost) -> None:
    assert fake.store.writes == 0
    assert fake.driver.committed == []

"""The agent's own life on real containers: killed, ended, started twice, and asked by the verbs."""

import signal

import pytest

from netshare.lab.conversation import FailureKind
from tests.docker.admin import RULE, Admin
from tests.docker.hints import eventually

pytestmark = pytest.mark.docker

REPLICAS = ("web-1", "web-2", "web-3")


@pytest.fixture(autouse=True)
def replicas(admin: Admin) -> None:
    for name in REPLICAS:
        admin.lab.run(name)


def test_killed_under_load_no_request_fails_and_its_successor_changes_nothing(admin: Admin) -> None:
    admin.attach()
    agent = admin.start_agent()
    with admin.load() as load:
        admin.await_traffic(*REPLICAS)
        assert agent.end(signal.SIGKILL) == -signal.SIGKILL
        assert admin.netshare("status", "-o", "json").document["agent"] == {"running": False, "pid": None}
        before = admin.generation(), admin.firewall()
        successor = admin.start_agent()
        successor.sync()
        after = admin.generation(), admin.firewall()
        sent = load.stop()
    assert after == before
    assert successor.applied() == []
    assert sent.failures == ()
    assert sent.answers.keys() == set(REPLICAS)
    assert admin.netshare("status", "-o", "json").document["agent"] == {"running": True, "pid": successor.process.pid}


def test_what_happened_while_it_was_dead_is_caught_up(admin: Admin) -> None:
    admin.attach()
    admin.start_agent().end(signal.SIGKILL)
    admin.lab.run("web-4")  # first, or it might be given the other one's address
    admin.lab.docker.containers.get("web-1").stop()
    agent = admin.start_agent()
    assert len(agent.applied()) >= 1
    admin.await_traffic("web-2", "web-3", "web-4")


def test_ended_it_leaves_the_kernel_as_it_is(admin: Admin) -> None:
    admin.attach()
    for number in (signal.SIGTERM, signal.SIGINT):
        agent = admin.start_agent()
        before = admin.generation(), admin.firewall()
        assert agent.end(number) == 0
        assert (admin.generation(), admin.firewall()) == before
        assert agent.log()[-1] == "INFO stop kernel=unchanged"
        assert not [line for line in agent.log() if line.startswith("ERROR")]
    assert admin.requests(30).answers.keys() == set(REPLICAS)


def test_a_second_agent_is_refused(admin: Admin) -> None:
    admin.attach()
    agent = admin.start_agent()
    done = admin.netshare("agent")
    assert done.code == 1
    assert done.err.startswith(f"netshare: an agent is running already (pid {agent.process.pid})\n  hint: ")
    agent.sync()


def test_verbs_go_through_it(admin: Admin) -> None:
    agent = admin.start_agent()
    admin.attach()
    assert [line.split(" added=")[0] for line in agent.applied()] == ["INFO apply cause='asked'"]
    assert admin.requests(60).answers.keys() == set(REPLICAS)
    admin.attach("--select", "app=none", "--no-wait")
    assert admin.requests(5).failures_by_kind == {FailureKind.REFUSED: 5}
    assert admin.netshare("detach", "web").code == 0
    assert len(agent.applied()) == 3
    assert "elements" not in admin.tool("nft", "list", "map", "inet", "netshare", "services-ip")


def test_it_mends_what_another_hand_changed(admin: Admin) -> None:
    admin.attach()
    agent = admin.start_agent()
    admin.tool("nft", "delete", "table", "inet", "netshare")
    admin.tool("iptables", "-F", "DOCKER-USER")
    agent.process.send_signal(signal.SIGHUP)
    eventually(lambda: any("rebuilt=yes" in line for line in agent.applied()))
    agent.sync()
    assert admin.docker_user() == [RULE]
    assert admin.requests(60).answers.keys() == set(REPLICAS)


def test_a_reset_is_refused_while_it_runs(admin: Admin) -> None:
    admin.attach()
    agent = admin.start_agent()
    done = admin.netshare("reset", "--yes")
    assert done.code == 1
    assert f"the agent (pid {agent.process.pid}) would put everything back" in done.err
    assert admin.requests(3).failures == ()

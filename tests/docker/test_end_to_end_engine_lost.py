"""Docker ends, crashes, comes back, or was never there: what the kernel holds, and what netshare says."""

import signal

import pytest

from netshare.lab.conversation import FailureKind
from tests.docker.admin import RULE, Admin
from tests.docker.hints import eventually

pytestmark = pytest.mark.docker

NOWHERE = "unix:///nowhere/docker.sock"
SAID = (
    "netshare: Docker does not answer at unix:///nowhere/docker.sock: No such file or directory\n"
    "  hint: is Docker running (systemctl "
)


def test_without_docker_a_verb_says_so_and_changes_nothing(admin: Admin) -> None:
    for name in ("web-1", "web-2"):
        admin.lab.run(name)
    admin.attach()
    [definition] = (admin.state / "services").iterdir()
    before = admin.generation(), admin.firewall(), definition.read_bytes()
    for words in (("attach", "web", "81"), ("sync",), ("status",)):
        done = admin.netshare(*words, DOCKER_HOST=NOWHERE)
        assert done.code == 6
        assert SAID in done.err
        said = admin.netshare(*words, "-o", "json", DOCKER_HOST=NOWHERE)
        assert said.code == 6
        assert said.document["error"]["code"] == "engine_unreachable"
        assert said.document["error"]["hint"]
    assert (admin.generation(), admin.firewall(), definition.read_bytes()) == before
    assert admin.requests(40).answers.keys() == {"web-1", "web-2"}


def test_an_agent_without_docker_keeps_what_is_and_serves_what_needs_none(admin: Admin) -> None:
    replica = admin.lab.run("web-1")
    admin.attach()
    before = admin.generation(), admin.firewall()
    agent = admin.start_agent(DOCKER_HOST=NOWHERE)
    agent.sync()
    assert (admin.generation(), admin.firewall()) == before
    assert len([line for line in agent.log() if "engine=docker state=unreachable" in line]) == 1
    assert admin.requests(10).answers == {"web-1": 10}
    address = admin.lab.address(replica)
    assert admin.netshare("attach", "static", "81", "--endpoint", f"{address}:8080", DOCKER_HOST=NOWHERE).code == 0
    assert admin.requests(10).answers == {"web-1": 10}
    with admin.lab.converse(81) as conversation:
        assert conversation.ask().replica == "web-1"


def test_a_crash_of_docker_is_not_noticed_by_clients(admin: Admin) -> None:
    for name in ("web-1", "web-2"):
        admin.lab.run(name, restart_policy={"Name": "always"})
    admin.attach()
    agent = admin.start_agent()
    with admin.load() as load:
        admin.await_traffic("web-1", "web-2")
        before = admin.firewall()
        admin.lab.daemon.down(signal.SIGKILL)
        eventually(lambda: any("engine=docker state=unreachable" in line for line in agent.log()))
        agent.sync()
        assert admin.firewall() == before
        sent = load.stop()
    assert sent.failures == ()
    admin.tool("iptables", "-F", "DOCKER-USER")
    admin.lab.daemon.up()
    admin.await_traffic("web-1", "web-2")
    eventually(lambda: "INFO observe engine=docker state=reachable" in agent.log())
    eventually(lambda: admin.docker_user() == [RULE, "-A DOCKER-USER -j RETURN"])


def test_docker_ended_and_started_again(admin: Admin) -> None:
    for name in ("web-1", "web-2", "web-3"):
        admin.lab.run(name, restart_policy={"Name": "always" if name != "web-3" else "no"})
    admin.attach()
    agent = admin.start_agent()
    admin.lab.daemon.down()
    eventually(lambda: any("engine=docker state=unreachable" in line for line in agent.log()))
    agent.sync()
    # Each container's end was announced before Docker's own.
    assert admin.requests(20, timeout=1.0).failures_by_kind == {FailureKind.REFUSED: 20}
    admin.lab.daemon.up()
    admin.await_traffic("web-1", "web-2")
    admin.lab.docker.containers.get("web-3").start()
    admin.await_traffic("web-1", "web-2", "web-3")

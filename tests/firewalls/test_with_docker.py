"""A firewall beside a real Docker: attach works, and outlives the reload of one and the restart of the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from netshare.lab.conversation import FailureKind
from netshare.netfilter.surroundings.xtables import DOCKER_USER
from tests.docker.admin import Admin
from tests.docker.hints import eventually
from tests.docker.lab import DockerLab
from tests.firewalls.looking import TOOLS, own_rules, take_own_rules_away
from tests.firewalls.programs import Firewall, Firewalld, Ufw
from tests.prerequisites import program, require

pytestmark = pytest.mark.docker

NAMES = ("web-1", "web-2")


@pytest.fixture
def docker_lab() -> Iterator[DockerLab]:
    """A host with Docker of its own, and a client outside."""
    require(*map(program, ("gcc", "busybox", "iptables", "nft")))
    with DockerLab() as lab:
        yield lab


@pytest.fixture
def admin(docker_lab: DockerLab, tmp_path: Path) -> Iterator[Admin]:
    made = Admin(docker_lab, tmp_path)
    yield made
    eventually(lambda: docker_is_complete(made))  # dockerd may still be at it when the test is over
    made.finish()
    assert "netshare" not in "".join(made.firewall().values())


@pytest.fixture(params=["ufw", "firewalld"])
def firewall(
    request: pytest.FixtureRequest, docker_lab: DockerLab, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Firewall]:
    """Be switched on. Docker is restarted once firewalld is there: one that does not know of it loses its chains."""
    require(*map(program, (request.param, "dbus-daemon")))
    if request.param == "ufw":
        with Ufw(docker_lab.host) as ufw:
            yield ufw
    else:
        with Firewalld(docker_lab.host) as firewalld:
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", firewalld.bus)
            docker_lab.daemon.down()
            docker_lab.daemon.up()
            yield firewalld


def docker_is_complete(admin: Admin) -> bool:
    """Whether all of Docker's chains are there: firewalld's reload takes them away, and dockerd makes them anew."""
    nat, rules = admin.tool("iptables", "-t", "nat", "-S"), admin.tool("iptables", "-S")
    return "-A DOCKER -i docker0 -j RETURN" in nat and "-A FORWARD -i docker0 -o docker0 -j ACCEPT" in rules


def test_attach_works_and_outlives_reloads_and_restarts(
    firewall: Firewall, docker_lab: DockerLab, admin: Admin
) -> None:
    for name in NAMES:
        docker_lab.run(name)
    assert "-P FORWARD DROP" in admin.tool("iptables", "-S", "FORWARD")
    admin.attach()
    admin.await_traffic(*NAMES)

    take_own_rules_away(docker_lab.host, DOCKER_USER)
    sent = admin.requests(4, timeout=0.5)
    assert (sent.answers, {failure.kind for failure in sent.failures}) == ({}, {FailureKind.TIMEOUT})

    agent = admin.start_agent()
    admin.await_traffic(*NAMES)
    firewall.reload()
    admin.await_traffic(*NAMES)
    eventually(lambda: docker_is_complete(admin))
    network = docker_lab.docker.networks.create("shop")
    admin.await_traffic(*NAMES)
    network.remove()

    docker_lab.daemon.down()
    docker_lab.daemon.up()
    for name in NAMES:
        docker_lab.docker.containers.get(name).start()
    admin.await_traffic(*NAMES)
    firewall.reload()
    eventually(lambda: docker_is_complete(admin) and own_rules(docker_lab.host, TOOLS[0], DOCKER_USER) == [1])
    admin.await_traffic(*NAMES)
    assert agent.process.poll() is None

"""A firewall that drops what is forwarded, and no engine: attach works, and goes on working when it reloads."""

from collections.abc import Iterator

import pytest

from netshare.core.model import Endpoint
from netshare.lab import traffic
from netshare.lab.conversation import FailureKind
from netshare.lab.topology import Lab
from tests.firewalls.looking import PORT, TOOLS, everything, failures, own_rules, take_own_rules_away, told, works
from tests.firewalls.programs import Firewall, Firewalld, Ufw
from tests.netns.admin import Admin
from tests.netns.waiting import until
from tests.prerequisites import program, require

pytestmark = pytest.mark.netns


@pytest.fixture
def ufw(lab: Lab) -> Iterator[Ufw]:
    require(program("ufw"))
    with Ufw(lab.host) as started:
        yield started


@pytest.fixture
def firewalld(lab: Lab) -> Iterator[Firewalld]:
    require(program("firewalld"), program("dbus-daemon"))
    with Firewalld(lab.host) as started:
        yield started


@pytest.fixture(params=["ufw", "firewalld"])
def firewall(request: pytest.FixtureRequest, lab: Lab) -> Firewall:
    """Be on, with the policy of FORWARD at DROP: ufw sees to that itself."""
    started: Firewall = request.getfixturevalue(request.param)
    for tool in TOOLS:
        told(lab.host, tool, "-P", "FORWARD", "DROP")
    return started


@pytest.mark.usefixtures("firewall")
def test_without_netshares_rule_nothing_gets_through_and_a_sync_puts_it_back(lab: Lab, admin: Admin) -> None:
    before = everything(lab.host)
    admin.attach("web", str(PORT), *lab.replicas.values())
    assert works(lab)
    take_own_rules_away(lab.host)
    assert failures(lab) == {FailureKind.TIMEOUT}
    assert admin.netshare("sync").code == 0
    assert works(lab)
    assert admin.netshare("reset", "--yes").code == 0
    assert everything(lab.host) == before


def test_what_is_attached_outlives_a_reload(firewall: Firewall, lab: Lab, admin: Admin) -> None:
    with admin.agent():
        admin.attach("web", str(PORT), *lab.replicas.values())
        for _ in range(2):
            assert works(lab)
            firewall.reload()
            until(lambda: works(lab))
        take_own_rules_away(lab.host)
        until(lambda: works(lab))
    assert admin.netshare("reset", "--yes").code == 0


def test_whom_ufw_turns_away_stays_outside(ufw: Ufw, lab: Lab, admin: Admin) -> None:
    other = lab.add_client()
    with admin.agent():
        admin.attach("web", str(PORT), *lab.replicas.values())
        ufw.tell("route", "deny", "from", str(lab.client.address))
        until(lambda: failures(lab) == {FailureKind.TIMEOUT})  # IPv4; IPv6 works
        sent = traffic.send(other.namespace, Endpoint(other.gateway, PORT), 10)
    assert (sent.failures, sum(sent.answers.values())) == ((), 10)


def test_ufw_does_not_log_what_netshare_lets_through(ufw: Ufw, lab: Lab, admin: Admin) -> None:
    admin.attach("web", str(PORT), *lab.replicas.values())
    chains = [line.split()[-1] for line in told(lab.host, TOOLS[0], "-S", "FORWARD").splitlines()[1:]]
    [place] = own_rules(lab.host, TOOLS[0])
    assert "ufw-before-forward" in chains[: place - 1]
    assert chains[place - 1 : place + 1] == ["ACCEPT", "ufw-after-logging-forward"]
    assert "Status: active" in ufw.tell("status")

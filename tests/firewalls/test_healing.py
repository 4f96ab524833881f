"""With the agent running, what others take away of netshare's is back at once, and traffic with it."""

import signal
from collections.abc import Callable, Iterator

import pytest

from netshare.lab.conversation import Conversation, FailureKind
from netshare.lab.topology import Lab
from tests.firewalls.looking import PORT, TOOLS, everything, failures, own_rules, told, works
from tests.netns.admin import Admin, Agent
from tests.netns.nft import handles, nft
from tests.netns.waiting import until

pytestmark = pytest.mark.netns

LEGACY = ("iptables-legacy", "ip6tables-legacy")


@pytest.fixture
def agent(lab: Lab, admin: Admin) -> Iterator[Agent]:
    """Have the agent run, with a service attached, on a host that drops what is forwarded."""
    for tool in TOOLS:
        told(lab.host, tool, "-P", "FORWARD", "DROP")
    with admin.agent() as running:
        admin.attach("web", str(PORT), *lab.replicas.values())
        yield running


def first_of(lab: Lab, chain: str) -> str:
    return str(handles(lab.host, chain)[0])


DAMAGE: dict[str, Callable[[Lab], tuple[str, ...]]] = {
    "the table is deleted": lambda _: ("delete", "table", "inet", "netshare"),
    "the table is flushed": lambda _: ("flush", "table", "inet", "netshare"),
    "a chain is flushed": lambda _: ("flush", "chain", "inet", "netshare", "dispatch"),
    "a rule is deleted": lambda lab: (
        *("delete", "rule", "inet", "netshare", "prerouting"),
        *("handle", first_of(lab, "prerouting")),
    ),
    "a map is flushed": lambda _: ("flush", "map", "inet", "netshare", "services-ip"),
    "the table sleeps": lambda _: ("add", "table", "inet", "netshare", "{ flags dormant; }"),
}


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_by_hand_is_mended(lab: Lab, damage: str) -> None:
    before = everything(lab.host)
    nft(lab.host, *DAMAGE[damage](lab))
    until(lambda: everything(lab.host) == before)
    assert works(lab)


@pytest.mark.usefixtures("agent")
def test_after_a_flush_of_everything_only_netshares_own_comes_back(lab: Lab) -> None:
    before = nft(lab.host, "list", "table", "inet", "netshare")
    with Conversation(lab.client.namespace, lab.at(PORT)) as silent:
        replica = silent.ask()
        nft(lab.host, "flush", "ruleset")
        until(lambda: nft(lab.host, "list", "ruleset") == before)
        assert works(lab)
        assert silent.ask() == replica  # the kernel has kept its mapping: see ARCHITECTURE.md for one that was busy


@pytest.mark.usefixtures("agent")
def test_its_rule_in_forward_comes_back_and_moves_ahead_of_what_would_drop(lab: Lab) -> None:
    for tool in TOOLS:
        told(lab.host, tool, "-D", "FORWARD", "1")
    until(lambda: works(lab))
    for tool in TOOLS:
        told(lab.host, tool, "-I", "FORWARD", "1", "-i", lab.client.link, "-j", "DROP")
    until(lambda: works(lab))
    assert [own_rules(lab.host, tool) for tool in TOOLS] == [[1], [1]]
    for tool in TOOLS:
        told(lab.host, tool, "-F", "FORWARD")
        told(lab.host, tool, "-P", "FORWARD", "ACCEPT")
    until(lambda: [own_rules(lab.host, tool) for tool in TOOLS] == [[], []])
    assert works(lab)


def test_of_legacy_tables_nobody_tells_and_the_next_reconcile_mends(lab: Lab, agent: Agent, admin: Admin) -> None:
    for tool in LEGACY:
        told(lab.host, tool, "-P", "FORWARD", "DROP")
    assert failures(lab) == {FailureKind.TIMEOUT}
    agent.process.send_signal(signal.SIGHUP)  # or the timer, after 30 s at most
    until(lambda: works(lab))
    assert admin.netshare("status", "-o", "json").document["obstacles"] == []


def test_forwarding_that_is_switched_off_is_told_of_and_left_off(lab: Lab, agent: Agent, admin: Admin) -> None:
    told(lab.host, "sysctl", "-q", "-w", "net.ipv4.ip_forward=0")
    admin.client.sync()
    assert "net.ipv4.ip_forward is 0" in admin.netshare("status").err
    assert "net.ipv4.ip_forward is 0" in "".join(agent.said("forward obstacle="))
    assert told(lab.host, "sysctl", "-n", "net.ipv4.ip_forward") == "0\n"
    told(lab.host, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    admin.client.sync()
    assert len(agent.said("obstacle_gone")) == 1


def test_the_agent_does_not_answer_itself(lab: Lab, agent: Agent, admin: Admin) -> None:
    """Each of its own commits would otherwise be a hint to reconcile, for ever."""
    before = agent.said("apply")
    admin.attach("api", "81", *lab.replicas.values())
    admin.detach("api")
    until(lambda: len(agent.said("apply")) == len(before) + 2)
    assert agent.said("firewall changed by netshare") == []
    assert agent.said("firewall changed by python") == []

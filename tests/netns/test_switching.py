"""Both drivers on one live host: by the verbs and by the agent, with connections open and new ones coming all the time.

Beside them stand rules of others', in nf_tables and in legacy xtables, as on a host of either kind.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from netshare.core.model import IPTABLES, NFTABLES, Endpoint, Family, Protocol, Strategy
from netshare.lab.conversation import Conversation
from netshare.lab.server import ReplicaServer
from netshare.lab.topology import Lab
from netshare.lab.traffic import Load, send
from tests.inside import DRIVERS
from tests.netns.admin import Admin
from tests.netns.nft import run
from tests.netns.waiting import until
from tests.prerequisites import legacy_iptables, program, require

pytestmark = pytest.mark.netns

KINDS = [(family, protocol) for family in Family for protocol in (Protocol.TCP, Protocol.UDP)]
ENDPOINTS = tuple(
    word for n in (10, 11, 12) for word in ("--endpoint", f"172.30.0.{n}", "--endpoint", f"fd00:172:30::{n:x}")
)


@pytest.fixture(autouse=True)
def prerequisites() -> None:
    require(legacy_iptables(), program("nft"))


@pytest.fixture
def admin(lab: Lab, tmp_path: Path) -> Iterator[Admin]:
    with closing(Admin(lab, tmp_path)) as made:
        yield made


def attach(admin: Admin, driver: str | None = None, *words: str) -> str:
    """Attach all replicas by the command line; gives what it says besides. A driver is the whole service's."""
    choice = () if driver is None else ("--driver", driver)
    said = ""
    for protocol in (Protocol.TCP, Protocol.UDP)[: 2 if driver is None else 1]:
        done = admin.netshare("attach", "web", f"80/{protocol}", "--to", "8080", *ENDPOINTS, *choice, *words)
        assert done.code == 0, done
        said += done.err
    return said


def left_of(admin: Admin, driver: str) -> str:
    """List what a driver has left in the kernel."""
    host = admin.lab.host
    if driver == NFTABLES:
        return run(host, "nft", "list", "table", "inet", "netshare").stdout
    both = "".join(run(host, f"{tool}-legacy-save").stdout for tool in ("iptables", "ip6tables"))
    return "\n".join(line for line in both.splitlines() if "NETSHARE" in line)


def driver_of(admin: Admin, name: str = "web") -> str:
    [service] = json.loads(admin.netshare("status", name, "-o", "json").out)["services"]
    return str(service["driver"])


def at(lab: Lab, family: Family) -> Endpoint:
    return lab.at(80) if family is Family.IP else lab.at6(80)


def held(admin: Admin, stack: ExitStack) -> list[Conversation]:
    client = admin.lab.client.namespace
    return [
        stack.enter_context(Conversation(client, at(admin.lab, family), protocol=protocol, timeout=5))
        for family, protocol in KINDS
        for _ in range(6)
    ]


def by_attach(admin: Admin, driver: str) -> None:
    attach(admin, driver)


def by_default(admin: Admin, driver: str) -> None:
    admin.set_default(driver)
    assert admin.netshare("sync").code == 0


@pytest.mark.parametrize("switch", [by_attach, by_default])
def test_a_switch_loses_no_connection_and_leaves_nothing_behind(
    admin: Admin, switch: Callable[[Admin, str], None]
) -> None:
    lab = admin.lab
    attach(admin)
    with ExitStack() as stack:
        conversations = held(admin, stack)
        at_first = [conversation.ask() for conversation in conversations]
        load = stack.enter_context(
            Load(lab.client.namespace, lab.at(80), total=20_000, rate=100, concurrency=4, timeout=5)
        )
        for new, old in ((IPTABLES, NFTABLES), (NFTABLES, IPTABLES)):
            switch(admin, new)
            assert left_of(admin, old) == ""
            assert left_of(admin, new) != ""
            assert driver_of(admin) == new
            assert [conversation.ask() for conversation in conversations] == at_first
        traffic = load.stop()
    assert traffic.failures == ()
    assert set(traffic.answers) == set(lab.replicas)


def test_the_agent_switches_and_mends(admin: Admin) -> None:
    lab = admin.lab
    attach(admin)
    with admin.agent(), ExitStack() as stack:
        conversations = held(admin, stack)
        at_first = [conversation.ask() for conversation in conversations]
        attach(admin, IPTABLES)
        assert left_of(admin, NFTABLES) == ""
        assert [conversation.ask() for conversation in conversations] == at_first
        # Nobody tells of changes there: they are seen with the next look at everything.
        assert run(lab.host, "iptables-legacy", "-t", "nat", "-F", "NETSHARE-SERVICES").returncode == 0
        admin.client.sync()
        assert set(send(lab.client.namespace, lab.at(80), 20).answers) == set(lab.replicas)
        attach(admin, NFTABLES)
        assert left_of(admin, IPTABLES) == ""
        assert [conversation.ask() for conversation in conversations] == at_first


def test_two_services_each_by_its_own(admin: Admin) -> None:
    lab = admin.lab
    one, two = (lab.replicas[name].endpoint for name in ("replica-1", "replica-2"))
    for name, port, endpoint, driver in (("web", "80", one, NFTABLES), ("api", "81", two, IPTABLES)):
        done = admin.netshare("attach", name, port, "--endpoint", str(endpoint), "--driver", driver)
        assert done.code == 0, done
    assert send(lab.client.namespace, lab.at(80), 5).answers == {"replica-1": 5}
    assert send(lab.client.namespace, lab.at(81), 5).answers == {"replica-2": 5}
    assert [driver_of(admin, name) for name in ("web", "api")] == [NFTABLES, IPTABLES]
    status = json.loads(admin.netshare("status", "-o", "json").out)
    assert {s["name"]: s["replicas"][0]["connections_total"] for s in status["services"]} == {"web": 5, "api": 5}

    native, legacy = (admin.netshare("rules", "--format", syntax) for syntax in ("nft", "iptables"))
    assert native.out.startswith("table inet netshare")
    assert "netshare rules --format iptables" in native.err
    assert "--comment api" in legacy.out
    assert "--comment web" not in legacy.out
    for tool in ("iptables-legacy-restore", "ip6tables-legacy-restore"):
        checked = run(lab.host, tool, "--test", "--noflush", text=legacy.out)
        assert checked.returncode == 0, checked.stderr

    assert admin.netshare("detach", "api").code == 0
    assert left_of(admin, IPTABLES) == ""
    assert send(lab.client.namespace, lab.at(80), 5).answers == {"replica-1": 5}
    attach(admin, IPTABLES)
    assert admin.netshare("reset", "--yes").code == 0
    assert [left_of(admin, driver) for driver in DRIVERS] == ["", ""]


def test_forcing_it_beside_an_iptables_that_is_nf_tables_warns_and_works(admin: Admin) -> None:
    """Docker and others program nf_tables there: whoever set NAT up first has the flow."""
    require(program("iptables-nft"))
    lab = admin.lab
    other = ReplicaServer("somebody else's", lab.replicas["replica-3"].namespace, 9000, ipv6=False)
    hook = ("PREROUTING", "-p", "tcp", "--dport", "80", "-j", "DNAT", "--to", "172.30.0.12:9000")
    try:
        assert run(lab.host, "iptables-nft", "-t", "nat", "-A", *hook).returncode == 0
        assert send(lab.client.namespace, lab.at(80), 5).answers == {"somebody else's": 5}
        warned = attach(admin, IPTABLES)
        assert "iptables-legacy-save shows them" in warned
        # Hooks of one priority: the one registered last comes first (nf_hook_entries_grow).
        assert set(send(lab.client.namespace, lab.at(80), 20).answers) == {"replica-1", "replica-2", "replica-3"}
        attach(admin, NFTABLES)
        assert set(send(lab.client.namespace, lab.at(80), 20).answers) == {"replica-1", "replica-2", "replica-3"}
        assert admin.netshare("doctor").out.count("iptables") >= 1
    finally:
        other.stop()


def test_a_strategy_that_iptables_does_not_have_is_refused_by_name(admin: Admin) -> None:
    words = ("attach", "web", "80", "--to", "8080", *ENDPOINTS, "--strategy", Strategy.SOURCE_HASH)
    refused = admin.netshare(*words, "--driver", IPTABLES)
    assert refused.code == 2
    assert "the driver iptables can't do source-hash" in refused.err
    assert "--driver nftables" in refused.err
    assert left_of(admin, IPTABLES) == ""
    # One that is there already when the default changes stays as it was, and says so; others go on.
    assert admin.netshare(*words).code == 0
    admin.set_default(IPTABLES)
    synced = admin.netshare("sync")
    assert "web: the driver iptables can't do source-hash" in synced.err
    assert send(admin.lab.client.namespace, admin.lab.at(80), 5).failures == ()
    done = admin.netshare("attach", "api", "81", "--endpoint", str(admin.lab.replicas["replica-1"].endpoint))
    assert done.code == 0, done
    until(lambda: send(admin.lab.client.namespace, admin.lab.at(81), 5).answers == {"replica-1": 5})

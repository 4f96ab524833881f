"""The iptables driver and iptables itself, on one kernel: what it programs, its own tools list, check and load."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from netshare.core.diff import diff
from netshare.core.model import Endpoint, Family, Protocol, Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.errors import NetfilterError
from netshare.lab.namespace import Namespace
from netshare.lab.topology import Lab
from netshare.lab.traffic import send
from netshare.netfilter.driver import Observation
from netshare.netfilter.iptables import tools
from netshare.netfilter.iptables.driver import IptablesDriver
from tests.inside import InNamespace
from tests.netns.nft import run
from tests.prerequisites import legacy_iptables, program, require

pytestmark = pytest.mark.netns

RESTORES = ("iptables-legacy-restore", "ip6tables-legacy-restore", "iptables-nft-restore", "ip6tables-nft-restore")
FOREIGN = """\
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER -p tcp -m tcp --dport 8443 -m comment --comment "not -j NETSHARE-SERVICES" -j DNAT --to-destination {to}
COMMIT
*filter
:NOT-NETSHARE-1 - [0:0]
-A INPUT -m comment --comment NETSHARE-REFUSE -j NOT-NETSHARE-1
-A FORWARD -j ACCEPT
COMMIT
"""
A, B, C = (Endpoint(ip_address(f"172.17.0.{number}"), 8080) for number in (2, 3, 10))


def everything() -> Ruleset:
    """Every kind of rule there can be."""
    dispatches: dict[Match, Dispatch] = {}
    six = tuple(
        Endpoint(ip_address(address), 80) for address in ("fd00:17::2", "fd00:17:aaaa:bbbb:cccc:dddd:eeee:ffff")
    )
    for protocol in Protocol:
        for family, slots, address in ((Family.IP, (A, B, C), "10.0.0.1"), (Family.IP6, six, "fd00:1:2:3:4:5:6:7")):
            dispatches[Match(family, protocol, 80)] = Dispatch("web", Strategy.RANDOM, (*slots, *slots[-1:] * 2))
            dispatches[Match(family, protocol, 81)] = Dispatch("turns", Strategy.ROUND_ROBIN, (*slots, *slots[:1]))
            dispatches[Match(family, protocol, 443)] = Dispatch("nobody")
            bound = Match(family, protocol, 80, ip_address(address))
            dispatches[bound] = Dispatch("x" * 63 + "/" + "y" * 63 + " (labels)", Strategy.RANDOM, slots[:1])
            for port in range(20_000, 20_040):
                dispatches[Match(family, protocol, port)] = Dispatch('a "b" \\ c', Strategy.RANDOM, slots)
    counted = {Target(match.protocol, endpoint) for match, each in dispatches.items() for endpoint in each.slots}
    draining = Target(Protocol.TCP, Endpoint(ip_address("172.17.0.99"), 1))
    subnets = (ip_network(subnet) for subnet in ("172.17.0.0/16", "10.88.0.0/24", "192.0.2.9/32", "fd00:17::/64"))
    return Ruleset(dispatches, frozenset(counted) | {draining}, frozenset(subnets))


@pytest.fixture(autouse=True)
def prerequisites() -> None:
    require(legacy_iptables(), *map(program, RESTORES))


@pytest.fixture
def host() -> Iterator[Namespace]:
    """A network namespace with nothing in it."""
    namespace = Namespace("iptables")
    yield namespace
    namespace.close()


@pytest.fixture
def driver(host: Namespace) -> InNamespace:
    return InNamespace(host, IptablesDriver())


def apply(driver: InNamespace, wanted: Ruleset) -> None:
    """Do what reconcile does."""
    seen = driver.observe()
    driver.apply(diff(seen.ruleset, wanted, rebuild=not seen.intact))


def do(host: Namespace, *words: str, text: str | None = None) -> str:
    """Run a tool, which must succeed."""
    done = run(host, *words, text=text)
    assert done.returncode == 0, done.stderr
    return done.stdout


def saved(host: Namespace) -> list[str]:
    """List all rules of both families, without what is counted and when."""
    both = "".join(do(host, f"{tool}-legacy-save") for tool in ("iptables", "ip6tables"))
    return [line.partition(" [")[0] for line in both.splitlines() if not line.startswith("#")]


class TestSyntax:
    @pytest.mark.parametrize("tool", RESTORES)
    def test_what_is_rendered_is_accepted_by_every_tool(self, host: Namespace, driver: InNamespace, tool: str) -> None:
        do(host, tool, "--test", "--noflush", text=driver.render(everything()))
        assert driver.observe() == Observation(), "a test changes nothing"

    def test_what_is_rendered_loads_to_what_is_programmed(self, host: Namespace, driver: InNamespace) -> None:
        for tool in RESTORES[:2]:
            do(host, tool, "--noflush", text=driver.render(everything()))
        loaded = driver.observe()
        assert loaded.ruleset == everything()
        # The file is for both families: it declares the chains of both in each.
        assert not loaded.intact
        apply(driver, everything())
        assert driver.observe().intact

    def test_a_saved_ruleset_loads_when_the_host_boots(self, host: Namespace, driver: InNamespace) -> None:
        apply(driver, everything())
        listed = [(tool, do(host, f"{tool}-save")) for tool in ("iptables-legacy", "ip6tables-legacy")]
        driver.remove_all()
        for tool, text in listed:
            do(host, f"{tool}-restore", text=text)
        seen = driver.observe()
        assert (seen.ruleset, seen.intact) == (everything(), True)


class TestOthers:
    def test_rules_of_others_are_not_touched(self, host: Namespace, driver: InNamespace) -> None:
        for tool, to in (("iptables", "172.17.0.9:443"), ("ip6tables", "[fd00:17::9]:443")):
            do(host, f"{tool}-legacy-restore", "--noflush", text=FOREIGN.format(to=to))
        apply(driver, everything())
        driver.remove_all()
        before = saved(host)
        for wanted in (everything(), Ruleset(), everything()):
            apply(driver, wanted)
            driver.apply(diff(wanted, wanted, rebuild=True))
            assert [line for line in saved(host) if line in before] == before
        driver.remove_all()
        assert saved(host) == before

    def test_it_comes_before_a_port_that_docker_has_published(self, host: Namespace, driver: InNamespace) -> None:
        do(host, "iptables-legacy-restore", "--noflush", text=FOREIGN.format(to="172.17.0.9:443"))
        apply(driver, everything())
        listed = do(host, "iptables-legacy", "-t", "nat", "-S", "PREROUTING").splitlines()
        assert "NETSHARE-SERVICES" in listed[1]


def delete_hook(host: Namespace) -> None:
    do(host, "iptables-legacy", "-t", "nat", "-D", "PREROUTING", "1")


def double_hook(host: Namespace) -> None:
    rule = next(line for line in do(host, "ip6tables-legacy-save", "-t", "filter").splitlines() if "-A INPUT" in line)
    do(host, "ip6tables-legacy-restore", "--noflush", text=f"*filter\n{rule}\nCOMMIT\n")


def flush_everything(host: Namespace) -> None:
    for table in ("raw", "filter", "nat"):
        do(host, "iptables-legacy", "-t", table, "-F")


def flush_listener(host: Namespace) -> None:
    do(host, "iptables-legacy", "-t", "nat", "-F", "NETSHARE-tcp-80")


def change_a_share(host: Namespace) -> None:
    do(host, "iptables-legacy", "-t", "nat", "-R", "NETSHARE-tcp-80", "2", "-g", "NETSHARE-tcp-172.17.0.2-8080")


def delete_target(host: Namespace) -> None:
    do(host, "ip6tables-legacy", "-t", "nat", "-F", "NETSHARE-tcp-fd00:17::2-80")


def add_rule(host: Namespace) -> None:
    do(host, "iptables-legacy", "-t", "nat", "-I", "NETSHARE-SERVICES", "-j", "ACCEPT")


def add_chain(host: Namespace) -> None:
    do(host, "iptables-legacy", "-t", "raw", "-N", "NETSHARE-MINE")


def jump_from_elsewhere(host: Namespace) -> None:
    do(host, "iptables-legacy", "-t", "nat", "-A", "INPUT", "-j", "NETSHARE-REFUSE")


def delete_guard(host: Namespace) -> None:
    do(host, "iptables-legacy", "-t", "raw", "-F", "NETSHARE-GUARD")


DAMAGES = (
    delete_hook,
    double_hook,
    flush_everything,
    flush_listener,
    change_a_share,
    delete_target,
    add_rule,
    add_chain,
    jump_from_elsewhere,
    delete_guard,
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_seen_and_mended(host: Namespace, driver: InNamespace, damage: Callable[[Namespace], None]) -> None:
    apply(driver, everything())
    before = saved(host)
    damage(host)
    assert not driver.observe().intact
    apply(driver, everything())
    assert driver.observe().intact
    assert sorted(saved(host)) == sorted(before)


def test_what_one_family_refuses_is_taken_back_from_the_other(
    host: Namespace, driver: InNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(driver, everything())
    before, restore = saved(host), tools.restore

    def refusing(family: Family, script: str) -> None:
        restore(family, script if family is Family.IP else script.replace("-g ", "-g NO-SUCH-"))

    monkeypatch.setattr(tools, "restore", refusing)
    with pytest.raises(NetfilterError, match="NO-SUCH"):
        driver.apply(diff(everything(), fewer()))
    monkeypatch.undo()
    assert saved(host) == before
    assert driver.observe().intact


def fewer() -> Ruleset:
    """Every service on its first replica alone."""
    dispatches = {match: replace(each, slots=each.slots[:1]) for match, each in everything().dispatches.items()}
    return replace(everything(), dispatches=dispatches)


def test_a_missing_tool_is_named_with_its_mend(
    host: Namespace, driver: InNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "prefix", lambda _: None)
    with pytest.raises(NetfilterError, match="not installed") as refused:
        apply(driver, everything())
    assert "install the package iptables" in str(refused.value.hint)
    assert saved(host) == []


def test_five_hundred_services_are_loaded_and_found() -> None:
    """They are on neighbouring ports and on scattered ones; a real packet finds its way through the tree."""
    with Lab() as lab:
        driver = InNamespace(lab.host, IptablesDriver())
        five = tuple(Endpoint(ip_address(f"10.9.0.{number}"), 80) for number in range(1, 6))
        others = [*range(8000, 8250), *range(250, 65000, 257)][:499]
        dispatches = {Match(Family.IP, Protocol.TCP, port): Dispatch("far", Strategy.RANDOM, five) for port in others}
        served = {8125: "replica-1", 64_993: "replica-2", 80: "replica-3"}
        for port, name in served.items():
            dispatches[Match(Family.IP, Protocol.TCP, port)] = Dispatch(
                "near", Strategy.RANDOM, (lab.replicas[name].endpoint,)
            )
        counted = {Target(match.protocol, endpoint) for match, each in dispatches.items() for endpoint in each.slots}
        wanted = Ruleset(dispatches, frozenset(counted))
        apply(driver, wanted)
        seen = driver.observe()
        assert (seen.ruleset, seen.intact) == (wanted, True)
        for port, name in served.items():
            assert send(lab.client.namespace, lab.at(port), 5).answers == {name: 5}

"""The nftables driver and nft itself, on one kernel: admins save rulesets, and load them again when they boot."""

from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network

import pytest

from netshare.core.diff import diff
from netshare.core.model import Endpoint, Family, Protocol, Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.errors import NotPermittedError
from netshare.lab.namespace import Namespace
from netshare.netfilter.conntrack import TrackedConnections
from netshare.netfilter.driver import Observation
from netshare.netfilter.nftables.driver import NftablesDriver
from tests.netns.nft import handles, load, nft, run
from tests.netns.privileges import without_privileges
from tests.prerequisites import program, require

pytestmark = pytest.mark.netns

FOREIGN = """\
table inet firewall {
	set blocked {
		type ipv4_addr
		flags interval
		elements = { 192.0.2.0/24 }
	}
	map doors {
		type inet_proto . inet_service : verdict
		elements = { tcp . 22 : accept, udp . 53 : drop }
	}
	map homes {
		typeof tcp dport : ip daddr
		elements = { 8000 : 192.0.2.7 }
	}
	chain input {
		type filter hook input priority filter; policy accept;
		ip saddr @blocked drop
		meta l4proto . th dport vmap @doors
	}
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		dnat ip to tcp dport map @homes
	}
}
table ip netshare-not {
	chain services-ip {
		counter packets 0 bytes 0
	}
}
table ip netshare {
	chain dispatch {
		type filter hook forward priority 10; policy accept;
		tcp dport 80 accept
	}
}
"""


def endpoints(*addresses: str, port: int = 8080) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(ip_address(address), port) for address in addresses)


def to(*slots: Endpoint, service: str = "web", strategy: Strategy = Strategy.RANDOM) -> Dispatch:
    return Dispatch(service, strategy if slots else None, slots)


def everything() -> Ruleset:
    """Every kind of element there can be, and three services of one kind."""
    four = endpoints("172.17.0.2", "172.17.0.3", "172.17.0.10")
    six = endpoints("fd00:17::2", "fd00:17::a", port=80)
    dispatches: dict[Match, Dispatch] = {}
    for protocol in Protocol:
        for family, slots, address in ((Family.IP, four, "10.0.0.1"), (Family.IP6, six, "fd00::1")):
            dispatches[Match(family, protocol, 80)] = to(*slots)
            dispatches[Match(family, protocol, 9)] = to(*reversed(slots), service="shop/api")
            dispatches[Match(family, protocol, 443)] = to(service="nobody")
            for strategy, port in ((Strategy.ROUND_ROBIN, 81), (Strategy.SOURCE_HASH, 82)):
                dispatches[Match(family, protocol, port)] = to(*slots, *slots[:1], strategy=strategy)
                bound = Match(family, protocol, port, ip_address(address))
                dispatches[bound] = to(*slots, service="turns", strategy=strategy)
            dispatches[Match(family, protocol, 80, ip_address(address))] = to(slots[0], service="x" * 63 + "/y-_.")
    counted = {Target(match.protocol, endpoint) for match, each in dispatches.items() for endpoint in each.slots}
    draining = Target(Protocol.TCP, Endpoint(ip_address("172.17.0.99"), 1))
    subnets = (ip_network(subnet) for subnet in ("172.17.0.0/16", "10.88.0.0/24", "192.0.2.9/32", "fd00:17::/64"))
    return Ruleset(dispatches, frozenset(counted) | {draining}, frozenset(subnets))


def words(listed: str) -> list[str]:
    """Sort what is listed."""
    return sorted(listed.replace(",", " ").split())


@pytest.fixture(autouse=True)
def prerequisites() -> None:
    require(program("nft"))


@pytest.fixture
def host() -> Iterator[Namespace]:
    """A network namespace with nothing in it."""
    namespace = Namespace("nft")
    yield namespace
    namespace.close()


@pytest.fixture
def driver(host: Namespace) -> Iterator[NftablesDriver]:
    made = NftablesDriver()
    host.run(made.generation)
    yield made
    made.close()


def apply(driver: NftablesDriver, wanted: Ruleset) -> None:
    """Do what reconcile does."""
    observation = driver.observe()
    driver.apply(diff(observation.ruleset, wanted, rebuild=not observation.intact))


class TestSaving:
    def test_nft_lists_and_checks_all_of_it(self, host: Namespace, driver: NftablesDriver) -> None:
        apply(driver, everything())
        listed = nft(host, "list", "ruleset")
        assert listed.count("tcp dport") > 0
        assert '80 comment "web" : goto tcp-ip-random-3' in listed
        assert "80 . 2 : 172.17.0.10 . 8080" in listed
        nft(host, "-c", "-f", "-", text=f"flush ruleset\n{listed}")

    def test_saved_flushed_and_loaded_again_it_is_the_same(self, host: Namespace, driver: NftablesDriver) -> None:
        apply(driver, everything())
        saved = nft(host, "list", "ruleset")
        nft(host, "flush", "ruleset")
        assert driver.observe() == Observation()
        load(host, saved)
        assert nft(host, "list", "ruleset") == saved
        assert driver.observe() == Observation(
            everything(), intact=True, connections=dict.fromkeys(everything().targets, 0)
        )
        smaller = Ruleset({m: d for m, d in everything().dispatches.items() if m.port == 80}, everything().targets)
        apply(driver, smaller)
        assert driver.observe().ruleset == smaller

    def test_what_it_renders_loads_to_what_it_programs(self, host: Namespace, driver: NftablesDriver) -> None:
        apply(driver, everything())
        programmed = nft(host, "list", "ruleset")
        nft(host, "flush", "ruleset")
        load(host, driver.render(everything()))
        assert nft(host, "list", "ruleset") == programmed
        assert driver.observe().intact

    @pytest.mark.parametrize("ruleset", [Ruleset(), everything()], ids=["no service", "every kind of service"])
    def test_with_everything_removed_and_loaded_it_renders_the_same(
        self, host: Namespace, driver: NftablesDriver, ruleset: Ruleset
    ) -> None:
        load(host, driver.render(ruleset))
        observation = driver.observe()
        assert (observation.ruleset, observation.intact) == (ruleset, True)
        assert driver.render(observation.ruleset) == driver.render(ruleset)

    def test_a_saved_ruleset_loads_on_top_of_the_running_one(self, host: Namespace, driver: NftablesDriver) -> None:
        apply(driver, everything())
        saved = nft(host, "list", "ruleset")
        load(host, saved)
        # nft added every rule a second time: traffic is served as before, and the next reconcile cleans up.
        doubled = driver.observe()
        assert (doubled.ruleset, doubled.intact) == (everything(), False)
        apply(driver, everything())
        assert nft(host, "list", "ruleset") == saved


class TestNeighbours:
    def test_nft_adds_a_rule_elsewhere_while_the_table_is_there(self, host: Namespace, driver: NftablesDriver) -> None:
        apply(driver, everything())
        load(host, FOREIGN)
        nft(host, "add", "rule", "inet", "firewall", "input", "tcp", "dport", "{ 80, 443 }", "counter", "accept")
        nft(host, "add", "element", "inet", "firewall", "doors", "{ udp . 80 : accept }")
        assert driver.observe().intact

    def test_no_other_table_is_touched(self, host: Namespace, driver: NftablesDriver) -> None:
        require(program("iptables-nft"))
        load(host, FOREIGN)
        for tool in ("iptables-nft", "ip6tables-nft"):
            for rule in ("-t nat -A PREROUTING -p tcp --dport 80 -j RETURN", "-A FORWARD -p udp -j DROP"):
                assert run(host, tool, *rule.split()).returncode == 0
        before, saved = self._listed(host, "ruleset"), self._saved(host)
        assert len([line for line in saved if line.startswith("-A ")]) == 2

        for wanted in (everything(), Ruleset(), everything()):
            apply(driver, wanted)
            assert self._without_netshare(host) == before
            driver.apply(diff(driver.observe().ruleset, wanted, rebuild=True))
            assert self._without_netshare(host) == before
        driver.remove_all()
        assert self._listed(host, "ruleset") == before
        assert self._saved(host) == saved

    @staticmethod
    def _listed(host: Namespace, *what: str) -> str:
        """List with handles: a table that is deleted and made again has others. nft warns about tables of iptables'."""
        return run(host, "nft", "-a", "list", *what).stdout

    @staticmethod
    def _saved(host: Namespace) -> list[str]:
        """Let iptables list its rules, without the comments that hold the time."""
        return [line for line in run(host, "iptables-nft-save").stdout.splitlines() if not line.startswith("#")]

    def _without_netshare(self, host: Namespace) -> str:
        tables = nft(host, "list", "tables").splitlines()
        assert tables.count("table inet netshare") == 1
        others = [table for table in tables if table != "table inet netshare"]
        return "".join(self._listed(host, *table.split()) for table in others)


def delete_rule(host: Namespace) -> None:
    nft(host, "delete", "rule", "inet", "netshare", "dispatch", "handle", str(handles(host, "dispatch")[0]))


def replace_rule(host: Namespace) -> None:
    handle = str(handles(host, "dispatch")[2])
    nft(host, "replace", "rule", "inet", "netshare", "dispatch", "handle", handle, "counter")


def replace_drawing_rule(host: Namespace) -> None:
    handle = str(handles(host, "tcp-ip-random-3")[0])
    nft(host, "replace", "rule", "inet", "netshare", "tcp-ip-random-3", "handle", handle, "accept")


def append_rule(host: Namespace) -> None:
    nft(host, "add", "rule", "inet", "netshare", "prerouting", "accept")


def insert_rule(host: Namespace) -> None:
    nft(host, "insert", "rule", "inet", "netshare", "dispatch", "return")


def flush_chain(host: Namespace) -> None:
    nft(host, "flush", "chain", "inet", "netshare", "output")


def add_chain(host: Namespace) -> None:
    nft(host, "add", "chain", "inet", "netshare", "mine", "{ type filter hook input priority 0; policy drop; }")


def set_policy(host: Namespace) -> None:
    nft(host, "add", "chain", "inet", "netshare", "prerouting", "{ policy drop; }")


def make_dormant(host: Namespace) -> None:
    nft(host, "add", "table", "inet", "netshare", "{ flags dormant; }")


def delete_slot(host: Namespace) -> None:
    nft(host, "delete", "element", "inet", "netshare", "tcp-ip-endpoints", "{ 80 . 1 }")


def add_slot(host: Namespace) -> None:
    nft(host, "add", "element", "inet", "netshare", "tcp-ip-endpoints", "{ 80 . 3 : 192.0.2.1 . 80 }")


def lead_astray(host: Namespace) -> None:
    nft(host, "delete", "element", "inet", "netshare", "tcp-ip-endpoints", "{ 80 . 1 }")
    nft(host, "add", "element", "inet", "netshare", "tcp-ip-endpoints", "{ 80 . 1 : 192.0.2.1 . 80 }")


def delete_counter(host: Namespace) -> None:
    nft(host, "delete", "element", "inet", "netshare", "connections-ip", "{ 172.17.0.2 . tcp . 8080 }")


def delete_service(host: Namespace) -> None:
    nft(host, "delete", "element", "inet", "netshare", "services-ip", "{ tcp . 80 }")


def redirect_service(host: Namespace) -> None:
    nft(host, "delete", "element", "inet", "netshare", "services-ip", "{ tcp . 80 }")
    nft(host, "add", "element", "inet", "netshare", "services-ip", '{ tcp . 80 comment "web" : drop }')


def flush_map(host: Namespace) -> None:
    nft(host, "flush", "map", "inet", "netshare", "services-ip")


def flush_table(host: Namespace) -> None:
    nft(host, "flush", "table", "inet", "netshare")


def flush_ruleset(host: Namespace) -> None:
    nft(host, "flush", "ruleset")


def add_catch_all(host: Namespace) -> None:
    """Drop whatever goes to this host by an element that stands for every key, and has none."""
    nft(host, "add", "element", "inet", "netshare", "services-ip", "{ * : drop }")


def make_sets_of_other_kinds(host: Namespace) -> None:
    """Have a table of the same name, whose sets are called like netshare's and hold other things."""
    nft(host, "flush", "ruleset")
    names = ("services-ip", "services-ip-bound", "tcp-ip-endpoints", "connections-ip", "hairpin-ip")
    load(
        host,
        "table inet netshare {\n"
        + "".join(f"set {name} {{ type inet_service; elements = {{ 22, 80 }}; }}\n" for name in names)
        + "}\n",
    )


def recreate_empty(host: Namespace) -> None:
    load(host, "delete table inet netshare\ntable inet netshare { }\n")


DAMAGE: list[Callable[[Namespace], None]] = [
    delete_rule,
    replace_rule,
    replace_drawing_rule,
    append_rule,
    insert_rule,
    flush_chain,
    add_chain,
    set_policy,
    make_dormant,
    delete_slot,
    add_slot,
    lead_astray,
    delete_counter,
    delete_service,
    redirect_service,
    flush_map,
    flush_table,
    flush_ruleset,
    recreate_empty,
    add_catch_all,
    make_sets_of_other_kinds,
]


def delete_refusal(host: Namespace) -> None:
    nft(host, "delete", "element", "inet", "netshare", "services-ip", "{ tcp . 443 }")


def delete_target(host: Namespace) -> None:
    nft(host, "delete", "element", "inet", "netshare", "connections-ip", "{ 172.17.0.99 . tcp . 1 }")


def change_slot(host: Namespace) -> None:
    nft(host, "delete", "element", "inet", "netshare", "tcp-ip-endpoints", "{ 80 . 1 }")
    nft(host, "add", "element", "inet", "netshare", "tcp-ip-endpoints", "{ 80 . 1 : 172.17.0.2 . 8080 }")


def delete_subnet(host: Namespace) -> None:
    nft(host, "delete", "element", "inet", "netshare", "hairpin-ip", "{ 10.88.0.0/24 . 10.88.0.0/24 }")


CHANGES: list[Callable[[Namespace], None]] = [delete_refusal, delete_target, change_slot, delete_subnet]


class TestOtherHands:
    @pytest.mark.parametrize("damage", DAMAGE, ids=lambda function: function.__name__)
    def test_damage_is_seen_and_a_rebuild_restores_it(
        self, host: Namespace, driver: NftablesDriver, damage: Callable[[Namespace], None]
    ) -> None:
        apply(driver, everything())
        listed = nft(host, "list", "ruleset")
        damage(host)
        assert nft(host, "list", "ruleset") != listed
        assert not driver.observe().intact
        apply(driver, everything())
        assert nft(host, "list", "ruleset") == listed
        assert driver.observe().intact

    @pytest.mark.parametrize("damage", CHANGES, ids=lambda function: function.__name__)
    def test_what_still_makes_sense_is_read_and_changed_back(
        self, host: Namespace, driver: NftablesDriver, damage: Callable[[Namespace], None]
    ) -> None:
        apply(driver, everything())
        listed = nft(host, "list", "ruleset")
        damage(host)
        observation = driver.observe()
        assert observation.intact
        assert observation.ruleset != everything()
        apply(driver, everything())
        # Subnets are listed in the order they came in.
        assert words(nft(host, "list", "ruleset")) == words(listed)

    @pytest.mark.parametrize("damage", DAMAGE + CHANGES, ids=lambda function: function.__name__)
    def test_whatever_they_did_the_last_service_can_be_detached(
        self, host: Namespace, driver: NftablesDriver, damage: Callable[[Namespace], None]
    ) -> None:
        apply(driver, everything())
        damage(host)
        held, is_intact = driver.observe().ruleset, driver.observe().intact
        driver.apply(diff(held, Ruleset(), rebuild=not is_intact and held != Ruleset()))
        assert driver.observe().ruleset == Ruleset()

    @pytest.mark.parametrize("damage", DAMAGE + CHANGES, ids=lambda function: function.__name__)
    def test_whatever_they_did_remove_all_removes_it(
        self, host: Namespace, driver: NftablesDriver, damage: Callable[[Namespace], None]
    ) -> None:
        apply(driver, everything())
        damage(host)
        driver.remove_all()
        assert nft(host, "list", "ruleset") == ""


class TestPrivileges:
    def test_without_them_it_says_which_are_needed(self, host: Namespace) -> None:
        driver, wanted = NftablesDriver(), diff(Ruleset(), everything(), rebuild=True)
        for attempt in (driver.observe, driver.remove_all, lambda: driver.apply(wanted), TrackedConnections().active):
            with pytest.raises(NotPermittedError) as refused:
                host.start_thread(without_privileges, attempt).result(timeout=10)
            assert "CAP_NET_ADMIN" in str(refused.value.hint)
            assert refused.value.message.endswith("operation not permitted")
        driver.close()
        assert nft(host, "list", "ruleset") == ""

"""What the lookout makes of other people's nftables, on the real kernel, and what real packets make of it."""

from collections.abc import Iterator

import pytest

from netshare.core.model import Endpoint, Family
from netshare.lab import traffic
from netshare.lab.conversation import FailureKind
from netshare.lab.namespace import Namespace
from netshare.lab.topology import Lab
from netshare.netfilter.nftables.chains import DEFAULT_MARK
from netshare.netfilter.surroundings.look import Lookout, Surroundings
from netshare.netfilter.surroundings.verdicts import Refusal
from netshare.netfilter.surroundings.xtables import Variant
from tests.firewalls.looking import PORT, failures, told, works
from tests.netns.admin import Admin
from tests.netns.nft import handles, load, nft

pytestmark = pytest.mark.netns

OPENING = "ct mark and 0x01000000 == 0x01000000 accept"
MARKS = "inet netshare-marks"
BY_POLICY = Refusal("its policy")
MAYBE = Refusal("its policy", certain=False)


@pytest.fixture
def host() -> Iterator[Namespace]:
    namespace = Namespace("firewall")
    yield namespace
    namespace.close()


def look(host: Namespace) -> Surroundings:
    return host.run(Lookout().look)


def forward(*rules: str, policy: str = "drop", more: str = "") -> str:
    lines = "\n".join((f"type filter hook forward priority 0; policy {policy};", *rules))
    return f"table inet fw {{\n{more}\nchain forward {{\n{lines}\n}}\n}}"


CASES = {
    "a policy that accepts": (forward(policy="accept"), None),
    "a policy that drops": (forward(), BY_POLICY),
    "what only established flows pass": (forward("ct state established,related accept"), BY_POLICY),
    "the same by a map": (forward("ct state vmap { established : accept, invalid : drop }"), BY_POLICY),
    "invalid packets are none of netshare's": (forward("ct state invalid drop", policy="accept"), None),
    "the rule that lets netshare by": (forward(OPENING), None),
    "the same as iptables writes marks": (forward("ct mark & 0x01000000 != 0 accept"), None),
    "behind what it opens it is too late": (forward("drop", OPENING), Refusal("a rule of chain forward")),
    "somebody else's bit": (forward("ct mark and 0x00002000 == 0x00002000 accept"), BY_POLICY),
    "by the packet's mark": (forward("meta mark and 0x01000000 == 0x01000000 accept"), None),
    "all that is rewritten may pass": (forward("ct status dnat accept"), None),
    "an interface that may be the replicas'": (forward('oifname "docker0" accept'), MAYBE),
    "a rejection with a comment": (
        forward('reject comment "not through here"', policy="accept"),
        Refusal("its rule “not through here”"),
    ),
    "one family only": (forward("meta nfproto ipv6 accept"), BY_POLICY),
    "in a chain of its own": (
        forward("jump others", policy="accept", more="chain others { counter drop\n}"),
        Refusal("a rule of chain others"),
    ),
    "back from a chain of its own": (
        forward("jump others", policy="accept", more="chain others { return\ndrop\n}"),
        None,
    ),
    "a chain that is gone to and ends": (forward("goto others", "accept", more="chain others { counter\n}"), BY_POLICY),
    "only some sources": (forward("ip saddr 192.0.2.0/24 drop", policy="accept"), None),
    "only some sources, in a chain": (
        forward("ip saddr 192.0.2.0/24 jump others", policy="accept", more="chain others { drop\n}"),
        None,
    ),
}


@pytest.mark.parametrize(("ruleset", "expected"), CASES.values(), ids=CASES)
def test_a_chain_is_judged_as_the_kernel_works_it_off(host: Namespace, ruleset: str, expected: Refusal | None) -> None:
    load(host, ruleset)
    found = {each.family: each.refusal for each in look(host).forward}
    assert found[Family.IP] == expected
    assert found.keys() == {Family.IP, Family.IP6}
    if "nfproto" in ruleset:
        assert found[Family.IP6] is None


def test_neither_looking_nor_what_is_netshares_own_leaves_a_trace(host: Namespace) -> None:
    seen = look(host)
    assert (seen.tables, seen.unlisted, seen.forward) == ((), (), ())
    assert nft(host, "list", "ruleset") == ""
    assert told(host, "cat", "/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names") == ""


@pytest.mark.parametrize("tool", ["iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"])
def test_each_variant_of_iptables_is_found_and_listed_by_its_own_tool(host: Namespace, tool: str) -> None:
    told(host, tool, "-P", "FORWARD", "DROP")
    told(host, tool, "-A", "FORWARD", "-m", "comment", "--comment", 'it\'s "mine"', "-j", "LOG")
    [table] = look(host).tables
    family = Family.IP6 if tool.startswith("ip6") else Family.IP
    assert (table.variant, table.forward_policy) == (Variant(family, is_legacy=tool.endswith("legacy")), "DROP")
    assert table.rules("FORWARD") == (("-A", "FORWARD", "-m", "comment", "--comment", 'it\'s "mine"', "-j", "LOG"),)


def test_native_rules_in_a_table_of_iptables_are_judged_all_the_same(host: Namespace) -> None:
    load(
        host,
        forward("tcp dport { 22, 23 } accept")
        .replace("inet fw", "ip filter")
        .replace("chain forward", "chain FORWARD"),
    )
    seen = look(host)
    assert [each.refusal for each in seen.forward] == ([MAYBE] if seen.unlisted else [])
    assert [table.forward_policy for table in seen.tables] == ([] if seen.unlisted else ["DROP"])


def test_it_looks_again_where_something_changed(host: Namespace) -> None:
    lookout = Lookout()

    def policies() -> list[str]:
        return [table.forward_policy for table in host.run(lookout.look).tables]

    def of_forward() -> list[int]:
        return [len(table.rules("FORWARD")) for table in host.run(lookout.look).tables]

    told(host, "iptables-nft", "-P", "FORWARD", "DROP")
    assert policies() == ["DROP"]
    told(host, "iptables-nft", "-A", "FORWARD", "-j", "ACCEPT")
    told(host, "iptables-legacy", "-P", "FORWARD", "DROP")
    assert of_forward() == [1, 0]
    told(host, "iptables-nft", "-R", "FORWARD", "1", "-j", "DROP")
    told(host, "iptables-legacy", "-A", "FORWARD", "-j", "DROP")
    assert [table.rules("FORWARD")[0][-1] for table in host.run(lookout.look).tables] == ["DROP", "DROP"]
    nft(host, "flush", "ruleset")
    assert policies() == ["DROP"]
    told(host, "iptables-nft", "-P", "FORWARD", "ACCEPT")
    assert policies() == ["ACCEPT", "DROP"]


class TestPackets:
    """What is said of a chain is what becomes of packets."""

    def test_an_administrators_chain_drops_until_their_rule_is_there(self, lab: Lab, admin: Admin) -> None:
        load(lab.host, forward("ct state established,related accept"))
        attached = admin.attach("web", str(PORT), *lab.replicas.values())
        [warning] = attached.warnings
        assert f"nft insert rule inet fw forward {OPENING}" in warning
        assert failures(lab) == {FailureKind.TIMEOUT}
        [told_of] = admin.netshare("status", "-o", "json").document["obstacles"]
        assert (told_of["where"], told_of["certain"]) == ("inet fw forward", True)
        assert warning in admin.netshare("status").err
        nft(lab.host, "insert", "rule", "inet", "fw", "forward", *OPENING.split())
        assert works(lab)
        assert admin.netshare("status", "-o", "json").document["obstacles"] == []

    def test_dockers_nftables_backend_lets_by_what_carries_the_mark(self, lab: Lab, admin: Admin) -> None:
        load(lab.host, DOCKER_29.format(accept="", bridge=lab.network.bridge))
        [warning] = admin.attach("web", str(PORT), *lab.replicas.values()).warnings
        assert '"bridge-accept-fwmark": "0x01000000/0x01000000"' in warning
        assert FailureKind.TIMEOUT in failures(lab)
        assert MARKS not in nft(lab.host, "list", "tables")
        nft(lab.host, "delete", "table", "ip", "docker-bridges")
        accept = f'meta mark & {DEFAULT_MARK} == {DEFAULT_MARK} counter accept comment "ALLOW FW MARK"'
        load(lab.host, DOCKER_29.format(accept=accept, bridge=lab.network.bridge))
        assert admin.attach("web", str(PORT), *lab.replicas.values()).warnings == ()
        assert works(lab)

    @pytest.mark.parametrize("driver", ["nftables", "iptables"])
    def test_packets_are_marked_where_that_helps_and_nowhere_else(self, lab: Lab, admin: Admin, driver: str) -> None:
        accept = f"meta mark & {DEFAULT_MARK} == {DEFAULT_MARK} accept"
        dockers = DOCKER_29.format(accept=accept, bridge=lab.network.bridge)
        load(lab.host, dockers)
        before = nft(lab.host, "--stateless", "list", "ruleset")
        endpoints = [each for one in lab.replicas.values() for each in (one.endpoint, one.endpoint6)]
        named = [word for each in endpoints for word in ("--endpoint", str(each))]
        attached = admin.netshare("attach", "web", str(PORT), "--driver", driver, *named)
        assert (attached.code, "Docker" in attached.err) == (0, False)
        assert works(lab)
        marks = nft(lab.host, "list", "table", *MARKS.split())
        for damage in (("flush", "table"), ("delete", "table")):
            nft(lab.host, *damage, *MARKS.split())
            assert not works(lab)
            assert admin.netshare("sync").code == 0
            assert nft(lab.host, "list", "table", *MARKS.split()) == marks
            assert works(lab)
        nft(lab.host, "delete", "table", "ip", "docker-bridges")
        assert admin.netshare("sync").code == 0
        assert MARKS not in nft(lab.host, "list", "tables")
        load(lab.host, dockers)
        assert admin.netshare("sync").code == 0
        load(lab.host, f"delete table {MARKS}\n{marks}")
        assert works(lab)
        assert admin.netshare("reset", "--yes").code == 0
        assert nft(lab.host, "--stateless", "list", "ruleset") == before

    def test_podmans_isolated_networks_are_passed_by_one_rule_of_netshares(self, lab: Lab, admin: Admin) -> None:
        """From another network's container to a port of the host, which netavark before 2.1 drops."""
        other = lab.add_network()
        served = list(lab.replicas.values())
        inside = lab.add_replica(network=other).namespace
        load(lab.host, NETAVARK.format(isolated=other.bridge, bridge=lab.network.bridge))
        before = nft(lab.host, "list", "ruleset")

        def fails() -> set[FailureKind]:
            sent = traffic.send(inside, Endpoint(other.address, PORT), 3, timeout=0.5)
            return {failure.kind for failure in sent.failures}

        admin.attach("web", str(PORT), *served)
        assert fails() == set()
        [first, *_] = handles(lab.host, "FORWARD", "netavark")
        nft(lab.host, "delete", "rule", "inet", "netavark", "FORWARD", "handle", str(first))
        assert fails() == {FailureKind.TIMEOUT}
        assert nft(lab.host, "list", "table", "inet", "netavark") in before
        assert admin.netshare("sync").code == 0
        assert fails() == set()
        assert admin.netshare("sync").code == 0
        assert len(handles(lab.host, "FORWARD", "netavark")) == 3
        assert admin.netshare("reset", "--yes").code == 0
        assert nft(lab.host, "list", "ruleset") == before


DOCKER_29 = """\
table ip docker-bridges {{
	map filter-forward-in-jumps {{
		type ifname : verdict
		elements = {{ "{bridge}" : jump filter-forward-in__{bridge} }}
	}}
	chain filter-FORWARD {{
		type filter hook forward priority filter; policy accept;
		oifname vmap @filter-forward-in-jumps
	}}
	chain filter-forward-in__{bridge} {{
		ct state established,related counter accept
		{accept}
		iifname "{bridge}" counter accept comment "ICC"
		counter drop comment "UNPUBLISHED PORT DROP"
	}}
}}
"""

NETAVARK = """\
table inet netavark {{
	chain FORWARD {{
		type filter hook forward priority filter; policy accept;
		ct state invalid drop
		jump NETAVARK-ISOLATION-1
	}}
	chain NETAVARK-ISOLATION-1 {{
		iifname "{isolated}" oifname != "{isolated}" jump NETAVARK-ISOLATION-2
	}}
	chain NETAVARK-ISOLATION-2 {{
		oifname "{bridge}" drop
	}}
}}
"""

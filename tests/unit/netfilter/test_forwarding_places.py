"""Where netshare's rule stands in iptables' filter table, for the firewalls that people have."""

import pytest

from netshare.core.model import Family
from netshare.netfilter.forwarding.places import COMMENT, places, rewrite, rule
from netshare.netfilter.surroundings.xtables import FilterTable, Variant, parse

OWN = rule(0x01000000)
OURS = f'-m connmark --mark 0x1000000/0x1000000 -m comment --comment "{COMMENT}" -j ACCEPT'

DOCKER = """\
-N DOCKER
-N DOCKER-ISOLATION-STAGE-1
-N DOCKER-ISOLATION-STAGE-2
-N DOCKER-USER
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
"""
DOCKER_20 = f"-P FORWARD DROP\n{DOCKER}-A DOCKER-USER -j RETURN\n"
DOCKER_28_4 = f"-P FORWARD ACCEPT\n{DOCKER}-A DOCKER ! -i docker0 -o docker0 -j DROP\n"

UFW = """\
-P FORWARD DROP
-N ufw-before-forward
-N ufw-after-forward
-N ufw-after-logging-forward
-N ufw-reject-forward
-N ufw-user-forward
-A FORWARD -j ufw-before-forward
-A FORWARD -j ufw-after-forward
-A FORWARD -j ufw-after-logging-forward
-A FORWARD -j ufw-reject-forward
-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-forward -j ufw-user-forward
-A ufw-after-logging-forward -m limit --limit 3/min -j LOG --log-prefix "[UFW BLOCK] "
-A ufw-user-forward -s 203.0.113.9/32 -j DROP
-A ufw-user-forward -p tcp -m tcp --dport 5432 -j DROP
"""

NETAVARK = """\
-P FORWARD {policy}
-N NETAVARK_FORWARD
-A FORWARD -m comment --comment "netavark firewall plugin rules" -j NETAVARK_FORWARD
-A NETAVARK_FORWARD -m conntrack --ctstate INVALID -j DROP
-A NETAVARK_FORWARD -s 10.88.0.0/16 -j ACCEPT
"""
ISOLATED = """\
-P FORWARD ACCEPT
-N NETAVARK_FORWARD
-N NETAVARK_ISOLATION_1
-N NETAVARK_ISOLATION_2
-A FORWARD -j NETAVARK_ISOLATION_1
-A FORWARD -j NETAVARK_FORWARD
-A NETAVARK_ISOLATION_1 -i podman1 ! -o podman1 -j NETAVARK_ISOLATION_2
-A NETAVARK_ISOLATION_2 -o podman1 -j DROP
"""
BANNED = """\
-P FORWARD DROP
-N f2b-web
-A FORWARD -s 192.0.2.0/24 -j DROP
-A FORWARD -m set --match-set blocked src -j REJECT --reject-with icmp-port-unreachable
-A FORWARD -p tcp -j f2b-web
-A f2b-web -s 198.51.100.7/32 -j REJECT --reject-with icmp-port-unreachable
-A f2b-web -j RETURN
"""
LIBVIRT = """\
-P FORWARD ACCEPT
-N LIBVIRT_FWI
-A FORWARD -j LIBVIRT_FWI
-A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A LIBVIRT_FWI -o virbr0 -j REJECT --reject-with icmp-port-unreachable
"""
RED_HAT = """\
-P FORWARD ACCEPT
-A FORWARD -i lo -j ACCEPT
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
"""


def table(listed: str) -> FilterTable:
    return parse(Variant(Family.IP, is_legacy=False), listed.splitlines())


CASES = {
    "nothing drops": ("-P FORWARD ACCEPT", {}),
    "only the policy drops": ("-P FORWARD DROP", {"FORWARD": 0}),
    "Docker 20.10: before the RETURN": (DOCKER_20, {"DOCKER-USER": 0}),
    "Docker 28.4: it ends with none": (DOCKER_28_4, {"DOCKER-USER": 0}),
    "behind the administrator's own rules": (
        DOCKER_20.replace("-A DOCKER-USER", "-A DOCKER-USER -s 192.0.2.1/32 -j DROP\n-A DOCKER-USER"),
        {"DOCKER-USER": 1},
    ),
    "isolation before DOCKER-USER, as dockerd leaves it when firewalld reloads": (
        DOCKER_20.replace("-A FORWARD -j DOCKER-USER\n", "").replace(
            "-A FORWARD -o docker0 -j DOCKER\n", "-A FORWARD -j DOCKER-USER\n"
        ),
        {"DOCKER-USER": 0, "FORWARD": 0},
    ),
    "a chain that nothing jumps to": (
        "-P FORWARD DROP\n-N DOCKER-USER\n-A DOCKER-USER -j RETURN",
        {"DOCKER-USER": 0, "FORWARD": 0},
    ),
    "ufw: behind its denials, ahead of its log": (UFW, {"FORWARD": 2}),
    "ufw that rejects": (UFW + "-A ufw-reject-forward -j REJECT\n", {"FORWARD": 2}),
    "ufw that rejects and logs nothing": (
        UFW.replace("LOG --log-prefix", "RETURN -m comment --comment") + "-A ufw-reject-forward -j REJECT\n",
        {"FORWARD": 3},
    ),
    "Podman": (NETAVARK.format(policy="ACCEPT"), {}),
    "Podman beside a policy that drops": (NETAVARK.format(policy="DROP"), {"FORWARD": 1}),
    "Podman with an isolated network": (ISOLATED, {"FORWARD": 0}),
    "Podman and Docker": (
        NETAVARK.format(policy="DROP") + DOCKER_20.partition("\n")[2],
        {"DOCKER-USER": 0},
    ),
    "bans stay in force": (BANNED, {"FORWARD": 3}),
    "libvirt": (LIBVIRT, {"FORWARD": 0}),
    "a rule that ends the chain": (RED_HAT, {"FORWARD": 1}),
    "a jump to itself does not hang": ("-P FORWARD DROP\n-N a\n-A FORWARD -j a\n-A a -j a", {"FORWARD": 1}),
}


@pytest.mark.parametrize(("listed", "expected"), CASES.values(), ids=CASES)
def test_its_place(listed: str, expected: dict[str, int]) -> None:
    assert places(table(listed)) == expected


@pytest.mark.parametrize("listed", [listed for listed, _ in CASES.values()], ids=CASES)
def test_once_in_place_it_stays_and_is_taken_away_without_a_trace(listed: str) -> None:
    before = table(listed)
    placed = applied(before, rewrite(before, OWN, needed=True))
    assert rewrite(placed, OWN, needed=True) == []
    assert places(placed) == places(before)
    assert applied(placed, rewrite(placed, OWN, needed=False)) == before


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param(f"-P FORWARD DROP\n-A FORWARD {OURS}\n-A FORWARD {OURS}", id="twice"),
        pytest.param(f"-P FORWARD DROP\n-A FORWARD -j REJECT\n-A FORWARD {OURS}", id="behind what rejects"),
        pytest.param(f"-P FORWARD DROP\n-A FORWARD {OURS.replace('0x1000000', '0x2')}", id="another mark"),
        pytest.param(f"-P FORWARD ACCEPT\n-A FORWARD {OURS}", id="no longer needed"),
        pytest.param(f"{DOCKER_20}-A DOCKER-USER {OURS}", id="behind the RETURN"),
    ],
)
def test_what_is_wrong_is_mended_by_one_change(listed: str) -> None:
    wrong = table(listed)
    right = applied(wrong, rewrite(wrong, OWN, needed=True))
    assert right != wrong
    assert rewrite(right, OWN, needed=True) == []


def applied(before: FilterTable, changes: list[tuple[str, ...]]) -> FilterTable:
    """Do what ``iptables-restore --noflush`` does."""
    chains = {name: list(rules) for name, rules in before.chains.items()}
    for change in changes:
        match change:
            case ("-D", chain, *words):
                chains[chain].remove(("-A", chain, *words))
            case ("-I", chain, place, *words):
                chains[chain].insert(int(place) - 1, ("-A", chain, *words))
            case _:
                pytest.fail(f"no such change: {change}")
    return FilterTable(before.variant, before.policies, {name: tuple(rules) for name, rules in chains.items()})

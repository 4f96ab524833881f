"""What netshare can't overcome, and what it says of it."""

import pytest

from netshare.core.model import Family
from netshare.core.obstacle import Obstacle, in_the_way
from netshare.netfilter.forwarding.obstacles import obstacles
from netshare.netfilter.surroundings.look import ForwardChain, Surroundings
from netshare.netfilter.surroundings.nf_tables import Chain, Scope
from netshare.netfilter.surroundings.verdicts import Refusal
from netshare.netfilter.surroundings.xtables import Variant, parse

MARK = 0x01000000
NFT = Variant(Family.IP, is_legacy=False)


def seen(surroundings: Surroundings) -> list[str]:
    return [str(each) for each in obstacles(surroundings, MARK)]


def refusing(scope: Scope, table: str, name: str, *, certain: bool = True) -> Surroundings:
    chain = Chain(scope, table, name, handle=1, uses=1, hook=2, drops=True)
    return Surroundings(forward=(ForwardChain(Family.IP, chain, Refusal("its policy", certain)),))


def test_where_nothing_is_in_the_way_nothing_is_said() -> None:
    chain = Chain(Scope.INET, "fw", "forward", handle=1, uses=1, hook=2, drops=True)
    passing = ForwardChain(Family.IP, chain, None)
    assert seen(Surroundings(forward=(passing,))) == []


def test_an_administrators_chain_is_named_with_the_rule_that_lets_netshare_by() -> None:
    [said] = seen(refusing(Scope.INET, "fw", "forward"))
    assert said.startswith("inet fw forward drops connections to replicas (its policy)")
    assert "nft insert rule inet fw forward ct mark and 0x01000000 == 0x01000000 accept" in said
    [uncertain] = obstacles(refusing(Scope.IP, "fw", "forward", certain=False), MARK)
    assert (uncertain.certain, "may drop" in uncertain.message) == (False, True)


def test_dockers_nftables_backend_is_told_of_with_the_setting_that_opens_it() -> None:
    [said] = seen(refusing(Scope.IP, "docker-bridges", "filter-forward-in__br-shop"))
    assert "Docker's nftables backend" in said
    assert "filter-forward-in__br-shop" in said
    assert '"bridge-accept-fwmark": "0x01000000/0x01000000"' in said


def test_a_strict_firewalld_is_told_of_with_its_setting() -> None:
    [said] = seen(refusing(Scope.INET, "firewalld", "filter_FORWARD"))
    assert said.startswith("firewalld rejects")
    assert "StrictForwardPorts=no" in said


def test_forwarding_that_is_off_is_told_of_and_not_fought() -> None:
    [said] = obstacles(Surroundings(forwards=frozenset({Family.IP})), MARK)
    assert (said.family, said.where) == (Family.IP6, "net.ipv6.conf.all.forwarding")
    assert "sysctl -w net.ipv6.conf.all.forwarding=1" in said.mend


def test_a_table_that_its_tool_can_not_list_is_told_of() -> None:
    [said] = seen(Surroundings(unlisted=((NFT, "iptables-nft is not installed"),)))
    assert "iptables-nft is not installed" in said


@pytest.mark.parametrize(
    ("rule", "is_told"),
    [
        ("-i eth0 -j DROP", True),
        ("-i eth0 ! -s 192.0.2.0/24 -j DROP", False),
        ("-m conntrack --ctstate INVALID -j DROP", False),
        ("-j LOG", False),
    ],
)
def test_a_dropping_rule_ahead_in_docker_user_is_the_administrators_wish_and_told_of(rule: str, is_told: bool) -> None:  # noqa: FBT001
    table = parse(NFT, ["-P FORWARD DROP", "-N DOCKER-USER", f"-A DOCKER-USER {rule}", "-A DOCKER-USER -j RETURN"])
    found = obstacles(Surroundings(tables=(table,)), MARK)
    assert [each.certain for each in found] == ([False] if is_told else [])


def test_only_what_concerns_the_families_in_use_is_told_and_only_once() -> None:
    both = [Obstacle(family, "fw", "it drops", "mend it") for family in Family]
    six = Obstacle(Family.IP6, "fw6", "it drops IPv6", "mend it")
    assert in_the_way([*both, six], {Family.IP}) == (both[0],)
    assert in_the_way([*both, six], frozenset(Family)) == (both[0], six)
    assert in_the_way([*both, six], frozenset()) == ()

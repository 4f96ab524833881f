"""Which firewalls are here, in words."""

import pytest

from netshare.core.model import Family
from netshare.netfilter.forwarding.neighbours import neighbours
from netshare.netfilter.surroundings.look import DOCKER_BRIDGES, FIREWALLD, NETAVARK, Surroundings
from netshare.netfilter.surroundings.nf_tables import Chain, Scope
from netshare.netfilter.surroundings.xtables import Variant, parse

NFT, LEGACY6 = Variant(Family.IP, is_legacy=False), Variant(Family.IP6, is_legacy=True)


@pytest.mark.parametrize(
    ("variant", "listed", "said"),
    [
        (NFT, ["-P FORWARD ACCEPT"], "iptables-nft (nobody's but the administrator's; FORWARD policy ACCEPT)"),
        (
            NFT,
            ["-P FORWARD DROP", "-N DOCKER", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER"],
            "iptables-nft (Docker; FORWARD policy DROP, set by Docker or the administrator; DOCKER-USER)",
        ),
        (
            NFT,
            ["-P FORWARD DROP", "-N ufw-before-forward", "-A FORWARD -j ufw-before-forward"],
            "iptables-nft (ufw; FORWARD policy DROP, set by ufw)",
        ),
        (
            LEGACY6,
            ["-P FORWARD DROP"],
            "ip6tables-legacy (nobody's but the administrator's; FORWARD policy DROP, set by the administrator)",
        ),
        (NFT, ["-P FORWARD ACCEPT", "-N NETAVARK_FORWARD"], "iptables-nft (Podman; FORWARD policy ACCEPT)"),
    ],
)
def test_iptables(variant: Variant, listed: list[str], said: str) -> None:
    assert neighbours(Surroundings(tables=(parse(variant, listed),))) == (said,)


def test_backends_in_nf_tables() -> None:
    chains = tuple(Chain(Scope.INET, table, "c", 1, 0) for table in (FIREWALLD, DOCKER_BRIDGES, NETAVARK, "admin"))
    assert neighbours(Surroundings(chains=chains)) == (
        "Docker, by its nftables backend",
        "Podman's netavark, by its nftables driver",
        "firewalld, by its nftables backend",
    )

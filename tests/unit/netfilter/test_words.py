"""The whole of what a ruleset becomes in nft's words, against a copy that a reader can check.

tests/netns/test_nftables.py shows that nft loads it, and that it is what the driver programs.
"""

from ipaddress import ip_address, ip_network
from pathlib import Path

from netshare.core.model import Endpoint, Family, Protocol, Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.netfilter.nftables.chains import DEFAULT_MARK
from netshare.netfilter.nftables.words import render

GOLDEN = Path(__file__).with_name("ruleset.nft")

ONE, TWO = (Endpoint(ip_address(f"172.17.0.{number}"), 8080) for number in (2, 3))
SIX = Endpoint(ip_address("fd00:17::2"), 8080)
RULESET = Ruleset(
    {
        Match(Family.IP, Protocol.TCP, 80): Dispatch("shop/web", Strategy.RANDOM, (ONE, TWO)),
        Match(Family.IP6, Protocol.TCP, 80): Dispatch("shop/web"),
        Match(Family.IP6, Protocol.TCP, 443, ip_address("2001:db8::1")): Dispatch("api", Strategy.RANDOM, (SIX,)),
        Match(Family.IP, Protocol.UDP, 53, ip_address("10.0.0.1")): Dispatch("dns", Strategy.RANDOM, (ONE, TWO)),
        Match(Family.IP, Protocol.UDP, 53): Dispatch("dns-2", Strategy.RANDOM, (TWO, ONE)),
    },
    frozenset(
        {
            Target(Protocol.TCP, ONE),
            Target(Protocol.TCP, TWO),
            Target(Protocol.TCP, SIX),
            Target(Protocol.UDP, ONE),
            Target(Protocol.UDP, TWO),
        },
    ),
    frozenset({ip_network("172.17.0.0/16"), ip_network("fd00:17::/64")}),
)


def test_a_ruleset_in_nfts_words() -> None:
    assert render(RULESET, DEFAULT_MARK) == GOLDEN.read_text(encoding="utf-8"), (
        f"if that is meant, renew it: PYTHONPATH=. python {__file__}"
    )


def test_the_order_of_a_ruleset_does_not_show() -> None:
    reverse = Ruleset(dict(reversed(list(RULESET.dispatches.items()))), RULESET.targets, RULESET.hairpins)
    assert render(reverse, DEFAULT_MARK) == render(RULESET, DEFAULT_MARK)


def test_the_mark_is_where_it_is_set_and_where_it_is_looked_for() -> None:
    marked = render(RULESET, 0x00400000)
    assert "ct mark | 0x00400000" in marked
    assert "ct mark & 0x00400000" in marked
    assert marked.replace("0x00400000", "0x01000000") == render(RULESET, DEFAULT_MARK)


if __name__ == "__main__":
    GOLDEN.write_text(render(RULESET, DEFAULT_MARK), encoding="utf-8")

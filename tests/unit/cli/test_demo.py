from ipaddress import IPv4Address, IPv6Address

from netshare.cli.demo import excerpt
from netshare.core.model import Endpoint, Family, Protocol, Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset, Target
from netshare.netfilter.nftables.driver import NftablesDriver

ENDPOINTS = tuple(Endpoint(IPv4Address(f"172.30.0.{number}"), 8080) for number in (11, 12))
SHOWN = """\
map services-ip {
    elements = { tcp . 80 comment "web" : goto tcp-ip-random-2 }
}
map tcp-ip-endpoints {
    elements = { 80 . 0 : 172.30.0.11 . 8080,
                 80 . 1 : 172.30.0.12 . 8080 }
}
chain tcp-ip-random-2 {
"""


def test_the_excerpt_of_the_rules_is_what_a_connection_passes() -> None:
    dispatches = {
        Match(Family.IP, Protocol.TCP, 80): Dispatch("web", Strategy.RANDOM, ENDPOINTS),
        Match(Family.IP6, Protocol.TCP, 80): Dispatch("web"),
    }
    targets = frozenset(Target(Protocol.TCP, endpoint) for endpoint in ENDPOINTS)
    whole = NftablesDriver().render(Ruleset(dispatches, targets))
    cut = excerpt(whole)
    assert cut.startswith(SHOWN)
    assert cut.removeprefix(SHOWN).splitlines()[-1] == "}"
    assert "numgen random mod 2 map @tcp-ip-endpoints" in cut
    whole_lines = {line.strip() for line in whole.splitlines()}
    assert [line for line in cut.splitlines() if line.strip() not in whole_lines] == []


def test_the_excerpt_of_other_rules_is_theirs() -> None:
    bound = Match(Family.IP6, Protocol.UDP, 53, IPv6Address("fd00::1"))
    endpoint = Endpoint(IPv6Address("fd00::2"), 53)
    ruleset = Ruleset(
        {bound: Dispatch("dns", Strategy.RANDOM, (endpoint,))}, frozenset({Target(Protocol.UDP, endpoint)})
    )
    cut = excerpt(NftablesDriver().render(ruleset))
    assert cut.count("elements") == 2
    assert "fd00::1 . udp . 53" in cut


def test_nothing_is_cut_out_of_nothing() -> None:
    assert excerpt("") == ""

from ipaddress import ip_address

from netshare.core.model import Family, Protocol
from netshare.core.ruleset import Match
from netshare.netfilter.reservation import claims

EVERYWHERE = Match(Family.IP, Protocol.TCP, 80)
HERE = Match(Family.IP, Protocol.TCP, 80, ip_address("10.0.0.1"))


def test_every_address_covers_one_address() -> None:
    assert claims({EVERYWHERE, HERE}) == {EVERYWHERE}


def test_one_address_is_bound_where_no_other_listener_has_the_port() -> None:
    others = {
        Match(Family.IP6, Protocol.TCP, 80),
        Match(Family.IP, Protocol.UDP, 80),
        Match(Family.IP, Protocol.TCP, 81),
        Match(Family.IP, Protocol.TCP, 80, ip_address("10.0.0.2")),
    }
    assert claims({HERE, *others}) == {HERE, *others}

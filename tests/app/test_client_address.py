from ipaddress import ip_network

import pytest

from app.web.client_address import client_address

pytestmark = pytest.mark.app

PROXY = "10.0.0.1"
TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "192.0.2.66", "203.0.113.7"),  # nobody vouches for it
        (PROXY, "203.0.113.7", "203.0.113.7"),
        (PROXY, "192.0.2.66, 203.0.113.7", "203.0.113.7"),  # what the client wrote stands before
        (PROXY, "203.0.113.7, 10.9.9.9", "203.0.113.7"),  # two proxies
        (PROXY, "192.0.2.66,203.0.113.7 ,10.9.9.9", "203.0.113.7"),
        (PROXY, "", PROXY),
        (PROXY, "nonsense", PROXY),
        (PROXY, "203.0.113.7, nonsense, 10.9.9.9", "10.9.9.9"),
        (PROXY, "10.1.1.1", "10.1.1.1"),  # a proxy that asks for itself
        ("fd00::1", "[2001:db8::7]", "2001:db8::7"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),  # a peer of a socket for both families
        ("::ffff:203.0.113.7", "192.0.2.66", "203.0.113.7"),
    ],
)
def test_the_client_is_the_last_one_that_nobody_trusted_vouches_for(peer: str, forwarded: str, client: str) -> None:
    assert str(client_address(peer, forwarded.split(","), TRUSTED)) == client


def test_a_unix_socket_has_no_client_address() -> None:
    assert client_address("", ["203.0.113.7"], TRUSTED) is None

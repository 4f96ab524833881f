"""Who the client is, behind proxies: X-Forwarded-For is believed as far as trusted proxies wrote it, and no further."""

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class ClientAddress:
    """WSGI middleware that puts the client's address where servers put their peer's: in ``REMOTE_ADDR``."""

    def __init__(self, application: Callable[..., Iterable[bytes]], trusted: Sequence[Network]) -> None:
        self._application = application
        self._trusted = trusted

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request."""
        forwarded = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")
        client = client_address(str(environ.get("REMOTE_ADDR", "")), forwarded, self._trusted)
        if client is not None:
            environ["REMOTE_ADDR"] = str(client)
        return self._application(environ, start_response)


def client_address(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """Walk back from the peer over the proxies that are trusted; the first that is not one is the client.

    Each proxy adds whom it was asked by at the end of the list, so what stands left of an address that nobody trusted
    vouches for is whatever the client cared to write. ``None``: the peer has no address (a Unix socket).
    """
    address = _parse(peer)
    for hop in reversed(forwarded):
        if address is None or not any(address in network for network in trusted):
            break
        named = _parse(hop)
        if named is None:
            break
        address = named
    return address


def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    # A socket for both families names IPv4 peers ::ffff:192.0.2.1.
    return (address.ipv4_mapped if address.version == 6 else None) or address  # noqa: PLR2004 (the number is the name)

"""The words of a command line, or of anyone else, made into sound values or refused.

Every refusal is a `UsageError` that shows the word and its mend. Words may be hostile: they are shown with control
characters escaped and cut to a length that fits a line.
"""

import math
import re
from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from netshare.core.model import (
    AUTO,
    IPTABLES,
    NFTABLES,
    Endpoint,
    IPAddress,
    Listener,
    Protocol,
    StaticEndpoint,
    Strategy,
)
from netshare.errors import UsageError

MAX_PORT = 65535
MAX_WEIGHT = 256
DRIVERS = (AUTO, NFTABLES, IPTABLES)
ENGINES = ("docker", "podman", "static")

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
_SERVICE_NAME = re.compile(rf"(?:{_NAME}/)?{_NAME}")
_NETWORK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|)")
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_DURATION = 86_400.0
_LONGEST_LABEL = 4096
_LONGEST_REPLICA_NAME = 255
_SHOWN = 60

_IPv4_RESERVED = int(IPv4Address("240.0.0.0"))


def service_name(word: str) -> str:
    """Check a service's name: ``web``, or ``shop/web`` to pin the Compose project."""
    if _SERVICE_NAME.fullmatch(word):
        return word
    raise UsageError(
        f"{shown(word)} is not a service name",
        hint="a name is 1 to 63 letters, digits, '_', '.' or '-', the first a letter or digit; PROJECT/NAME pins a "
        "Compose project",
    )


def port_number(word: str) -> int:
    """Read a port: 1 to 65535."""
    if not re.fullmatch(r"[0-9]+", word):
        raise UsageError(f"{shown(word)} is not a port", hint=f"write a number from 1 to {MAX_PORT}, as in 80")
    # Looked at as text first: int() refuses very long numbers with an error of its own.
    if len(word) > len(str(MAX_PORT)) or not 1 <= int(word) <= MAX_PORT:
        raise UsageError(f"port {word[:_SHOWN]} is out of range", hint=f"ports are 1 to {MAX_PORT}")
    return int(word)


def port_and_protocol(word: str) -> tuple[int, Protocol]:
    """Read ``PORT`` or ``PORT/PROTOCOL``; TCP where none is given."""
    port, slash, protocol = word.partition("/")
    number = port_number(port)
    if not slash:
        return number, Protocol.TCP
    try:
        return number, Protocol(protocol.lower())
    except ValueError:
        raise UsageError(
            f"{shown(protocol)} in {shown(word)} is not a protocol netshare can share",
            hint=f"write {number}/" + f" or {number}/".join(Protocol),
        ) from None


def listener(word: str) -> Listener:
    """Read ``PORT``, ``PORT/PROTOCOL``, ``IP:PORT`` or ``[IPV6]:PORT/PROTOCOL``: what a label can listen on."""
    found = re.fullmatch(r"(?:(?:\[([^\[\]]*)\]|([^:\[\]]*)):)?([^:\[\]]*)", word)
    if found is None:
        raise UsageError(f"{shown(word)} is not a port", hint="write it as in 80, 53/udp, 10.0.0.1:80 or [fd00::1]:80")
    port, protocol = port_and_protocol(found.group(3))
    address = next((part for part in found.groups()[:2] if part is not None), None)
    return Listener(port, protocol, None if address is None else listen_address(address, "the address"))


def listen_address(word: str, option: str = "--listen") -> IPAddress:
    """Read an address of the host to listen on; ``option`` is what it was given as."""
    address = _address(word, "an address to listen on")
    if address.is_unspecified:
        raise UsageError(
            f"{option} {address} names no address",
            hint=f"leave {option} out: a service listens on every local address, IPv4 and IPv6, by default",
        )
    if address.version == 6 and address.is_loopback:  # noqa: PLR2004 (the number is the name)
        raise UsageError(
            f"{option} {address} can't work: the kernel does not route from ::1",
            hint="listen on 127.0.0.1 instead; clients of 'localhost' fall back to it at once",
        )
    return _unicast(address, f"{option} {address}")


def client_address(word: str) -> IPAddress:
    """Parse the address of an imagined client."""
    return _unicast(_address(word, "an address that a client could have"), "client")


def endpoint(word: str) -> StaticEndpoint:
    """Read a static replica: ``IP``, ``IP:PORT``, ``[IPV6]`` or ``[IPV6]:PORT``."""
    what = "an endpoint (IP, IP:PORT or [IPV6]:PORT)"
    host, port = word, None
    if bracketed := re.fullmatch(r"\[([^\[\]]*)\](?::(.*))?", word, re.DOTALL):
        host, port = bracketed.group(1), bracketed.group(2)
    elif word.count(":") == 1:
        host, _, port = word.partition(":")
    address = _address(host, what)
    if address.is_unspecified or address.is_loopback:
        raise UsageError(
            f"--endpoint {shown(word)} can't be reached: the kernel forwards to no such address",
            hint="give the address of the machine itself; for a process of this host, one of the host's own addresses",
        )
    _unicast(address, f"--endpoint {address}")
    if address.version == 6 and address.is_link_local:  # noqa: PLR2004 (the number is the name)
        raise UsageError(
            f"--endpoint {address} is a link-local address, which means nothing without an interface",
            hint="give one of the machine's other addresses",
        )
    return StaticEndpoint(address, None if port is None else port_number(port))


def local_address(word: str) -> Endpoint:
    """Read where a process of this host is to listen: ``127.0.0.1:9440``, ``[::1]:9440``, ``0.0.0.0:9440``."""
    host, colon, port = word.rpartition(":")
    if bracketed := re.fullmatch(r"\[([^\[\]]*)\]", host):
        host = bracketed.group(1)
    elif not colon or ":" in host:
        raise UsageError(f"{shown(word)} is not an address and a port", hint="as in 127.0.0.1:9440 or [::1]:9440")
    return Endpoint(_address(host, "an address to listen on"), port_number(port))


def label_selector(word: str) -> tuple[str, str]:
    """Read ``KEY=VALUE``."""
    key, equals, value = word.partition("=")
    if not equals or not key:
        raise UsageError(f"--select {shown(word)} is not KEY=VALUE", hint="write it as in --select app=web")
    if not key.isprintable() or " " in key or not value.isprintable() or len(word) > _LONGEST_LABEL:
        raise UsageError(
            f"--select {shown(word)} is not a label an engine could hold",
            hint=f"a label is printable text of at most {_LONGEST_LABEL} characters, its key without spaces",
        )
    return key, value


def network_name(word: str) -> str:
    """Check the name of an engine's network."""
    if _NETWORK_NAME.fullmatch(word):
        return word
    raise UsageError(
        f"{shown(word)} is not a network's name", hint="`docker network ls` (or `podman network ls`) lists them"
    )


def weight(word: str) -> int:
    """Read a replica's weight: 0 to 256."""
    if re.fullmatch(r"[0-9]{1,3}", word) and int(word) <= MAX_WEIGHT:
        return int(word)
    raise UsageError(
        f"{shown(word)} is not a weight",
        hint=f"write a number from 0 (no new connections) to {MAX_WEIGHT}; a replica has 1 by default",
    )


def replica_weight(word: str) -> tuple[str, int]:
    """Read ``REPLICA=W``: a replica's name, or the beginning of its id, and its weight."""
    replica, equals, number = word.rpartition("=")
    if not equals or not replica:
        raise UsageError(f"--weight {shown(word)} is not REPLICA=W", hint="write it as in --weight web-1=3")
    return replica_name(replica), weight(number)


def replica_name(word: str) -> str:
    """Check what names a replica: any text that an engine or a definition could hold."""
    if word.isprintable() and 0 < len(word) <= _LONGEST_REPLICA_NAME:
        return word
    raise UsageError(f"{shown(word)} is not a replica's name", hint="`netshare status` names the replicas")


def duration(word: str) -> float:
    """Read a time in seconds: ``60``, ``60s``, ``500ms``, ``2m``, ``1h``."""
    found = _DURATION.fullmatch(word)
    seconds = float(found.group(1)) * _SECONDS[found.group(2)] if found else -1.0
    if not 0.0 <= seconds <= _LONGEST_DURATION:
        raise UsageError(f"{shown(word)} is not a time", hint="write it as in 500ms, 60s, 2m or 1h; 24h at most")
    return seconds


def drain(word: str) -> float:
    """Read how long connections may go on, in seconds; ``none``: there is no end to it."""
    return math.inf if word == "none" else round(duration(word), 3)


def drain_words(seconds: float) -> str:
    """Write it so that `drain` reads the same."""
    return "none" if math.isinf(seconds) else f"{round(seconds * 1000)}ms" if seconds % 1 else f"{seconds:.0f}s"


def replicas(word: str, option: str) -> int:
    """Read a number of replicas."""
    if re.fullmatch(r"[0-9]{1,4}", word) and int(word) >= 1:
        return int(word)
    raise UsageError(f"{option} {shown(word)} is not a number of replicas", hint="write 1 or more")


def pause(word: str) -> float:
    """Read how long to stay as it is, in seconds; ``promote``: until somebody says so."""
    return math.inf if word == "promote" else duration(word)


def share(word: str) -> int:
    """Read a share in per cent: ``10%`` or ``10``."""
    found = re.fullmatch(r"([0-9]{1,2})%?", word)
    if found and int(found.group(1)) >= 1:
        return int(found.group(1))
    raise UsageError(f"{shown(word)} is not a share", hint="write 1% to 99%")


def strategy(word: str) -> Strategy:
    """Read a balancing strategy."""
    return Strategy(_choice(word, "strategy", tuple(Strategy)))


def driver(word: str) -> str:
    """Read the name of a driver."""
    return _choice(word, "driver", DRIVERS)


def engine(word: str) -> str:
    """Read the name of an engine, or ``static``."""
    return _choice(word, "engine", ENGINES)


def shown(word: str) -> str:
    """Show a word in an error: quoted, control characters escaped, cut to a length that fits a line."""
    return repr(word if len(word) <= _SHOWN else f"{word[:_SHOWN]}…")


def _choice(word: str, what: str, choices: Sequence[str]) -> str:
    if word in choices:
        return word
    raise UsageError(f"there is no {what} {shown(word)}", hint=f"choose {' or '.join(choices)}")


def _address(word: str, what: str) -> IPAddress:
    kind: type[IPAddress] = IPv6Address if ":" in word else IPv4Address
    try:
        address = kind(word)
    except AddressValueError:
        raise UsageError(
            f"{shown(word)} is not {what}", hint="write an IP address, as in 10.0.0.1 or fd00::1"
        ) from None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise UsageError(
                f"{shown(word)} names an interface, which a listener or endpoint can't have",
                hint="leave the %interface out",
            )
        if address.ipv4_mapped is not None:
            raise UsageError(f"{shown(word)} is an IPv4 address in disguise", hint=f"write {address.ipv4_mapped}")
    return address


def _unicast(address: IPAddress, what: str) -> IPAddress:
    is_reserved = address.version == 4 and int(address) >= _IPv4_RESERVED  # noqa: PLR2004 (the number is the name)
    if address.is_multicast or is_reserved:
        kind = "a multicast" if address.is_multicast else "a broadcast or reserved"
        raise UsageError(f"{what} is {kind} address", hint="connections can only be made to one machine's address")
    return address

"""What bridges in use need besides rules, switched on where it is off, and off again where it was switched on.

* ``route_localnet``, so that clients of the host's own 127.0.0.1 can be sent out to a replica. On these bridges only,
  and beside a rule that drops what anybody else sends to 127.0.0.0/8 (CVE-2020-8558).
* Hairpin mode of a bridge's ports, where bridged packets pass through netfilter (``bridge-nf-call-iptables``): there a
  container that reaches itself through the host is answered by the port it came from, which a bridge does not do
  otherwise (should_deliver in net/bridge/br_forward.c).

What was switched is written down first, in the runtime directory: a reboot empties it just as it undoes the switches.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from netshare.core.links import Link
from netshare.errors import NetfilterError
from netshare.netfilter.links import is_bridge, links
from netshare.netfilter.switches import HairpinMode, RouteLocalnet, Switch, bridged_packets_are_filtered, ports
from netshare.runtime.files import replace_file

_FILE = "bridges.json"
# What the kernel takes for one (dev_valid_name in net/core/dev.c); it becomes a part of a path under /proc/sys.
_INTERFACE = re.compile(r"(?!\.\.?$)[^/:\s\0]{1,15}")
_KINDS: dict[str, type[RouteLocalnet] | type[HairpinMode]] = {kind.name: kind for kind in (RouteLocalnet, HairpinMode)}


class HostLinks:
    """The subnets of this host, and the switches of its bridges. ``directory`` is where these are written down."""

    def __init__(self, directory: Path) -> None:
        """Nothing is read or written before it is asked."""
        self._path = directory / _FILE

    def list(self) -> Sequence[Link]:
        """List the subnets this host is directly on."""
        return links()

    def serve(self, used: Iterable[Link]) -> None:
        """Switch on what these links need, if they are bridges, and off what others do not need any more.

        Raises:
            NotPermittedError, NetfilterError: a switch can't be set.

        """
        noted = self._noted()
        wanted = frozenset(_switches(used))
        for switch in sorted(wanted - noted, key=str):
            if switch.state() is False:
                noted.add(switch)
                self._note(noted)
                switch.turn(on=True)
        for switch in sorted(noted - wanted, key=str):
            if switch.state():
                switch.turn(on=False)
            noted.discard(switch)
            self._note(noted)

    def _noted(self) -> set[Switch]:
        """Read what was written down; a damaged file says nothing, and its switches stay on until the reboot."""
        try:
            noted = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return set()
        return set(_read(noted))

    def _note(self, switches: set[Switch]) -> None:
        """Write it down wholly or not at all: what is not known to be on can't be switched off again."""
        try:
            if switches:
                noted = sorted([switch.name, switch.interface] for switch in switches)
                replace_file(self._path, json.dumps(noted).encode() + b"\n", lasting=False)
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            hint = "NETSHARE_RUNTIME_DIR names its directory; it must be on a writable file system with room left"
            raise NetfilterError(f"{self._path} can't be written: {error.strerror}", hint=hint) from error


def _read(noted: object) -> Iterator[Switch]:
    for pair in noted if isinstance(noted, list) else ():
        match pair:
            case [str(kind), str(interface)] if kind in _KINDS and _INTERFACE.fullmatch(interface):
                yield _KINDS[kind](interface)
            case _:
                continue


def _switches(used: Iterable[Link]) -> Iterator[Switch]:
    bridges = {link.interface: link.network.version for link in used if is_bridge(link.interface)}
    for link in used:
        if link.network.version == 4 and link.interface in bridges:  # noqa: PLR2004
            yield RouteLocalnet(link.interface)
    if bridges and bridged_packets_are_filtered():
        for bridge in bridges:
            yield from map(HairpinMode, ports(bridge))

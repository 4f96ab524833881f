"""What bridges in use need besides rules, switched on where it is off, and off again where it was switched on.

* ``route_localnet``, so that clients of the host's own 127.0.0.1 can be sent out to a replica. On these bridges only,
  and beside a rule that drops what anybody else sends to 127.0.0.0/8 (CVE-2020-8558).
* Hairpin mode of a bridge's ports, where bridged packets pass through netfilter (``bridge-nf-call-iptables``): there a
  container that reaches itself through the host is answered by the port it came from, which a bridge does not do
  otherwise (should_deliver in net/bridge/br_forward.c).

What was switched is written down first, in the runtime directory: a reboot empties it just as it undoes the switches.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from netshare.core.links import Link
from netshare.netfilter.links import is_bridge, links
from netshare.netfilter.switches import HairpinMode, RouteLocalnet, Switch, bridged_packets_are_filtered, ports

_FILE = "bridges.json"
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
            noted = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return set()
        pairs = (words for words in noted if isinstance(words, list) and len(words) == 2)  # noqa: PLR2004
        return {_KINDS[kind](str(interface)) for kind, interface in pairs if kind in _KINDS}

    def _note(self, switches: set[Switch]) -> None:
        if switches:
            self._path.write_text(json.dumps(sorted([switch.name, switch.interface] for switch in switches)) + "\n")
        else:
            self._path.unlink(missing_ok=True)


def _switches(used: Iterable[Link]) -> Iterator[Switch]:
    bridges = {link.interface: link.network.version for link in used if is_bridge(link.interface)}
    for link in used:
        if link.network.version == 4 and link.interface in bridges:  # noqa: PLR2004
            yield RouteLocalnet(link.interface)
    if bridges and bridged_packets_are_filtered():
        for bridge in bridges:
            yield from map(HairpinMode, ports(bridge))

"""Switches of network interfaces, in the network namespace of the calling thread."""

import errno
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from netshare.errors import NetfilterError, NotPermittedError
from netshare.netfilter.netlink import NEEDS_ROOT

if TYPE_CHECKING:
    from pyroute2 import IPRoute

_SYSCTL = Path("/proc/sys/net")


@dataclass(frozen=True, slots=True)
class RouteLocalnet:
    """Whether packets from and to 127.0.0.0/8 may pass an interface (Documentation/networking/ip-sysctl.rst)."""

    interface: str
    name: ClassVar[str] = "route_localnet"

    def state(self) -> bool | None:
        """Whether it is on; ``None`` where there is no such interface."""
        with suppress(FileNotFoundError):
            return self._path().read_text().strip() != "0"
        return None

    def turn(self, *, on: bool) -> None:
        """Switch it."""
        try:
            self._path().write_text("1" if on else "0")
        except PermissionError as error:
            raise NotPermittedError(f"{self._path()} can't be set: {error.strerror}", hint=NEEDS_ROOT) from error
        except OSError as error:
            raise NetfilterError(f"{self._path()} can't be set: {error.strerror}") from error

    def _path(self) -> Path:
        return _SYSCTL / "ipv4" / "conf" / self.interface / "route_localnet"


@dataclass(frozen=True, slots=True)
class HairpinMode:
    """Whether a port of a bridge may send a frame back where it came from (IFLA_BRPORT_MODE)."""

    interface: str
    name: ClassVar[str] = "hairpin_mode"

    def state(self) -> bool | None:
        """Whether it is on; ``None`` where there is no such port of a bridge."""
        found = _ask(self.interface, lambda routes, index: routes.get_links(index))
        if not found:
            return None
        (port,) = found
        mode = port.get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA", "IFLA_BRPORT_MODE")
        return None if mode is None else bool(mode)

    def turn(self, *, on: bool) -> None:
        """Switch it; a port that is gone by now needs nothing."""
        _ask(self.interface, lambda routes, index: routes.brport("set", index=index, mode=int(on)))


Switch = RouteLocalnet | HairpinMode


def bridged_packets_are_filtered() -> bool:
    """Whether IPv4 or IPv6 packets between two ports of a bridge pass through netfilter."""
    settings = (_SYSCTL / "bridge" / f"bridge-nf-call-{tool}" for tool in ("iptables", "ip6tables"))
    return any(setting.exists() and setting.read_text().strip() != "0" for setting in settings)


def ports(bridge: str) -> Iterator[str]:
    """Name the ports of a bridge; none where it is gone."""
    for port in _ask(bridge, lambda routes, index: routes.get_links(master=index)):
        yield str(port.get_attr("IFLA_IFNAME"))


def _ask(interface: str, question: Callable[["IPRoute", int], Iterable[Any]]) -> list[Any]:
    """Ask rtnetlink about an interface by its index; no answer where it is gone.

    pyroute2 takes a quarter of a second to import, which a host without filtered bridges never pays.
    """
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        index = socket.if_nametoindex(interface)
        with IPRoute() as routes:
            return list(question(routes, index))
    except (OSError, NetlinkError) as error:
        if getattr(error, "code", None) == errno.EPERM:
            raise NotPermittedError(f"{interface} can't be changed: {error}", hint=NEEDS_ROOT) from error
        return []

"""What `doctor` looks at in the kernel, besides rules: features tried for real, and settings that drop packets."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path

from netshare.core.diagnosis import KernelSettings
from netshare.core.model import Endpoint, Family, Protocol, Strategy
from netshare.core.ruleset import Dispatch, Match, Ruleset
from netshare.errors import NetfilterError
from netshare.netfilter.nftables.driver import NftablesDriver
from netshare.netfilter.switches import bridged_packets_are_filtered

_SYSCTL = Path("/proc/sys/net")
_ROUTES = Path("/proc/thread-self/net/route")
_STRICT = 1
_SAMPLE = {Family.IP: Endpoint(ip_address("192.0.2.1"), 80), Family.IP6: Endpoint(ip_address("2001:db8::1"), 80)}


class KernelExamination:
    """Looks at the kernel of the calling thread's network namespace, and changes nothing."""

    def __init__(self, driver: NftablesDriver) -> None:
        """``driver`` has the kernel try what it would program."""
        self._driver = driver

    def refused(self) -> tuple[Mapping[str, str], list[str]]:
        """Have every construct tried in a transaction that is never committed; give what was refused, and all tried."""
        refused: dict[str, str] = {}
        tried: list[str] = []
        for feature, ruleset in _features():
            tried.append(feature)
            try:
                self._driver.check(ruleset)
            except NetfilterError as error:
                refused[feature] = error.message
        return refused, tried

    def settings(self) -> KernelSettings:
        """Read the settings."""
        return KernelSettings(
            tracked=_number(_SYSCTL / "netfilter/nf_conntrack_count"),
            trackable=_number(_SYSCTL / "netfilter/nf_conntrack_max"),
            strict_interfaces=tuple(_strict()),
            default_routes=sum(line.split()[1] == "00000000" for line in _ROUTES.read_text().splitlines()[1:]),
            bridged_are_filtered=bridged_packets_are_filtered(),
        )


def _features() -> Iterator[tuple[str, Ruleset]]:
    yield "tables, maps, NAT and refusals", Ruleset()
    for strategy in Strategy:
        for family, endpoint in _SAMPLE.items():
            dispatch = Dispatch("doctor", strategy, (endpoint,))
            matches = {Match(family, protocol, 80): dispatch for protocol in Protocol}
            yield f"{strategy} ({'IPv4' if family is Family.IP else 'IPv6'})", Ruleset(matches)


def _strict() -> Iterator[str]:
    """Name the interfaces with a strict filter: the greater of ``all`` and their own counts (ip-sysctl.rst)."""
    everywhere = _number(_SYSCTL / "ipv4/conf/all/rp_filter")
    for interface in sorted((_SYSCTL / "ipv4/conf").iterdir()):
        own = _number(interface / "rp_filter")
        if interface.name not in ("all", "default", "lo") and max(everywhere, own) == _STRICT:
            yield interface.name


def _number(path: Path) -> int:
    """Read a setting; 0 where this kernel has none."""
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return 0

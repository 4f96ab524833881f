"""What each driver can do on this host, as far as it can be told without changing anything."""

from collections.abc import Mapping
from dataclasses import replace

from netshare.core.model import IPTABLES, NFTABLES, Family
from netshare.errors import NetfilterError, NotPermittedError
from netshare.netfilter.driver import Offer
from netshare.netfilter.iptables import tools
from netshare.netfilter.iptables.driver import IptablesDriver
from netshare.netfilter.nftables.driver import NftablesDriver


def offers(nftables: NftablesDriver) -> Mapping[str, Offer]:
    """Look at the kernel and at the tools."""
    return {
        NFTABLES: replace(NftablesDriver.offers[NFTABLES], missing=_without_nf_tables(nftables)),
        IPTABLES: replace(IptablesDriver.offers[IPTABLES], missing=_without_tools(), caution=_caution()),
    }


def _without_nf_tables(driver: NftablesDriver) -> NetfilterError | None:
    try:
        driver.generation()
    except NotPermittedError:  # it is not for this user to know
        return None
    except NetfilterError as error:
        hint = "try: modprobe nf_tables; on a kernel that has none, the driver iptables serves"
        return NetfilterError(f"this kernel has no nf_tables: {error.message}", hint=hint)
    return None


def _without_tools() -> NetfilterError | None:
    lacking = [family for family in Family if tools.prefix(family) is None]
    return tools.missing(lacking[0]) if lacking else None


def _caution() -> str | None:
    if not tools.usual_is_nf_tables():
        return None
    return (
        "the command iptables of this host shows nf_tables, where the rules of the driver iptables are not: "
        "iptables-legacy-save shows them"
    )

"""A host full of other people's rules is, after attach, fifty changes and reset, byte for byte what it was before.

The fixtures: what ufw, Docker with sixteen published containers and an administrator have in iptables, and what
fail2ban and the administrator have in nftables.
"""

from pathlib import Path

import pytest

from netshare.lab.topology import Lab
from tests.firewalls.looking import PORT, TOOLS, everything, own_rules, told, works
from tests.netns.admin import Admin
from tests.netns.nft import load

pytestmark = pytest.mark.netns

FIXTURES = Path(__file__).with_name("foreign")
CHANGES = 50


def with_handles(lab: Lab) -> str:
    """List everything in nf_tables with its handles: an object that was made anew has another one."""
    return told(lab.host, "nft", "-a", "-s", "list", "ruleset")


def without_netshares_own(listed: str) -> str:
    """Take netshare's table out of a listing of all tables."""
    tables = listed.split("table ")
    return "table ".join(table for table in tables if not table.startswith("inet netshare "))


@pytest.fixture
def crowded(lab: Lab) -> Lab:
    for tool, name in zip(TOOLS, ("ip.save", "ip6.save"), strict=True):
        told(lab.host, f"{tool}-restore", text=(FIXTURES / name).read_text(encoding="utf-8"))
    load(lab.host, (FIXTURES / "ruleset.nft").read_text(encoding="utf-8"))
    return lab


def test_other_peoples_rules_are_untouched(crowded: Lab, admin: Admin) -> None:
    before, before_with_handles = everything(crowded.host), with_handles(crowded)
    assert before["nft"].count("\n") > 500
    replicas = list(crowded.replicas.values())
    assert admin.attach("web", str(PORT), *replicas).warnings == ()
    assert works(crowded)
    assert own_rules(crowded.host, TOOLS[0], "DOCKER-USER") == [2]  # behind the administrator's, before the RETURN
    for number in range(CHANGES):
        match number % 5:
            case 0:
                admin.attach("api", f"{1000 + number}", *replicas[: 1 + number % 3])
            case 1:
                admin.attach("dns", f"{2000 + number}/udp", replicas[number % 3])
            case 2:
                admin.attach("web", str(PORT), *replicas[number % 2 :])
            case 3:
                admin.detach("api")
            case _:
                admin.detach("dns")
    assert admin.attach("web", str(PORT), *replicas).service.name == "web"
    assert works(crowded)
    assert own_rules(crowded.host, TOOLS[0], "DOCKER-USER") == [2]
    foreign = without_netshares_own(everything(crowded.host)["nft"])
    assert len(set(foreign.splitlines()) - set(before["nft"].splitlines())) <= 2  # netshare's rule, once a family
    assert admin.netshare("reset", "--yes").code == 0
    assert everything(crowded.host) == before
    assert with_handles(crowded) == before_with_handles

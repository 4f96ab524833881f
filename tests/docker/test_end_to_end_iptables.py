"""The iptables driver with a real Docker, whose own rules are in nf_tables or in legacy xtables as well."""

import pytest

from netshare.core.model import IPTABLES
from tests.docker.admin import Admin
from tests.docker.hints import eventually
from tests.prerequisites import legacy_iptables, require

pytestmark = pytest.mark.docker


def test_the_agent_follows_containers_and_leaves_dockers_rules_alone(admin: Admin) -> None:
    require(legacy_iptables())
    leaving = admin.lab.run("web-1", grace_ms=1500)
    admin.lab.run("web-2")
    dockers = admin.tool("iptables", "-S")
    agent = admin.start_agent(NETSHARE_DRIVER=IPTABLES)
    done = admin.attach()
    assert done.code == 0, done
    assert set(admin.requests(40).answers) == {"web-1", "web-2"}
    admin.lab.run("web-3")
    eventually(lambda: "web-3" in admin.requests(20).answers)
    with admin.load(rate=100) as load:
        leaving.stop()
        sent = load.stop()
    assert sent.failures == ()
    assert set(admin.requests(40).answers) == {"web-2", "web-3"}
    assert {name for name, each in admin.status().items() if each["connections_total"]} >= {"web-2", "web-3"}
    assert agent.end() == 0
    assert admin.netshare("detach", "web", NETSHARE_DRIVER=IPTABLES).code == 0
    assert admin.netshare("reset", "--yes").code == 0
    assert admin.tool("iptables", "-S") == dockers
    assert "NETSHARE" not in admin.tool("iptables-legacy-save")

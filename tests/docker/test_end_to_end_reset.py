"""`netshare reset`: every rule on the host is again what it was before netshare came, and the admin's own stay put."""

import shlex
from collections.abc import Iterator

import pytest

from tests.docker.admin import RULE, Admin

pytestmark = pytest.mark.docker

RETURN = "-A DOCKER-USER -j RETURN"
OURS = tuple(shlex.split(RULE)[2:])


@pytest.fixture
def theirs(admin: Admin) -> Iterator[list[str]]:
    """Rules of an admin's: in DOCKER-USER before its RETURN, and in chains of nft, ip6tables and legacy iptables."""
    admin.tool("iptables", "-I", "DOCKER-USER", "1", "-s", "203.0.113.7", "-j", "DROP")
    remark = ("-m", "comment", "--comment", 'don\'t "touch" \\ this')
    admin.tool("iptables", "-I", "DOCKER-USER", "2", *remark, "-j", "ACCEPT")
    admin.tool("nft", "add table inet admin; add chain inet admin input { type filter hook input priority 0; }")
    admin.tool("nft", "add rule inet admin input tcp dport 2222 counter accept")
    for program in ("ip6tables", "iptables-legacy"):
        admin.tool(program, "-A", "FORWARD", "-m", "mark", "--mark", "7", "-j", "DROP")
    [*rules, last] = admin.docker_user()
    assert last == RETURN
    yield rules
    for program in ("ip6tables", "iptables-legacy"):
        admin.tool(program, "-D", "FORWARD", "1")
    admin.tool("nft", "delete", "table", "inet", "admin")
    for rule in ("-F", "-A"):
        admin.tool("iptables", rule, "DOCKER-USER", *(() if rule == "-F" else ("-j", "RETURN")))


def test_everything_is_as_it_was(admin: Admin, theirs: list[str]) -> None:
    for name in ("web-1", "web-2"):
        admin.lab.run(name)
    before = admin.firewall()
    assert {"nft", "iptables-save", "ip6tables-save"} <= before.keys()
    admin.attach()
    assert admin.firewall() != before
    assert admin.docker_user() == [*theirs, RULE, RETURN]
    admin.requests(20)
    agent = admin.start_agent()
    admin.lab.docker.containers.get("web-2").stop()
    agent.end()
    done = admin.netshare("reset", "--yes")
    assert done.code == 0
    assert done.out == "removed from the kernel; definitions stay: `netshare sync` puts everything back\n"
    assert admin.firewall() == before
    assert admin.netshare("reset", "--yes").code == 0
    assert admin.firewall() == before
    assert [s["name"] for s in admin.netshare("list", "-o", "json").document["services"]] == ["web"]
    assert admin.netshare("sync").code == 0
    assert admin.docker_user() == [*theirs, RULE, RETURN]
    assert admin.requests(10).answers == {"web-1": 10}


def test_with_the_last_service_its_way_past_docker_goes(admin: Admin, theirs: list[str]) -> None:
    admin.lab.run("web-1")
    admin.attach()
    assert admin.netshare("detach", "web").code == 0
    assert admin.docker_user() == [*theirs, RETURN]


def test_its_rule_goes_back_to_its_place(admin: Admin, theirs: list[str]) -> None:
    admin.lab.run("web-1")
    admin.attach()
    admin.tool("iptables", "-D", "DOCKER-USER", "3")
    admin.tool("iptables", "-I", "DOCKER-USER", "1", *OURS)
    assert admin.docker_user() == [RULE, *theirs, RETURN]
    assert admin.netshare("sync").code == 0
    assert admin.docker_user() == [*theirs, RULE, RETURN]


def test_a_chain_without_a_return_and_a_rule_that_is_there_twice(admin: Admin, theirs: list[str]) -> None:
    admin.lab.run("web-1")
    admin.attach()
    admin.tool("iptables", "-D", "DOCKER-USER", "4")
    admin.tool("iptables", "-A", "DOCKER-USER", *OURS)
    assert admin.docker_user() == [*theirs, RULE, RULE]
    assert admin.netshare("sync").code == 0
    assert admin.docker_user() == [*theirs, RULE]
    assert admin.requests(10).answers == {"web-1": 10}


def test_where_there_is_nothing_to_reset(admin: Admin) -> None:
    before = admin.generation(), admin.firewall()
    assert admin.netshare("reset", "--yes").code == 0
    assert (admin.generation(), admin.firewall()) == before

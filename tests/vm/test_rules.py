"""What administrators do to nftables, on the distribution's own kernel and with its own nft."""

import pytest

from tests.vm.machines import Pair, eventually

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(900)]

REPLICAS = {"web-1", "web-2", "web-3"}
TABLE = "nft list table inet netshare"


@pytest.mark.parametrize("words", ["nft flush ruleset", "systemctl restart nftables"])
def test_what_was_flushed_is_put_back(fresh: Pair, words: str) -> None:
    fresh.host.shell(words)
    eventually(lambda: fresh.host.run(*TABLE.split()).code == 0)
    assert fresh.count().answering() == REPLICAS


def test_it_can_be_saved_and_loaded_with_all_else(fresh: Pair, told: list[str]) -> None:
    """And works without anybody's help, then: no agent runs."""
    host = fresh.host
    told.append(f"{host.must('nft', '--version')}, kernel {host.must('uname', '-r')}")
    host.shell("systemctl stop netshare; nft list ruleset >/root/saved")
    host.must("nft", "flush", "ruleset")
    assert not fresh.count(3).answers
    host.must("nft", "-f", "/root/saved")
    assert fresh.count().answering() == REPLICAS
    listed = host.shell("nft --stateless list ruleset")
    assert listed == host.shell("nft flush ruleset; nft -f /root/saved; nft --stateless list ruleset")
    host.must("systemctl", "start", "netshare")
    assert fresh.count().answering() == REPLICAS


def test_the_iptables_driver(fresh: Pair, told: list[str]) -> None:
    refused = fresh.host.run("netshare", "attach", "web", "80", "--driver", "iptables")
    told.append(f"without the kernel's modules: {refused.err.strip() or 'they are there'}")
    if refused.code != 0:  # what the agent may not load, the message says how to; until then all is as it was
        assert "modprobe --all ip_tables ip6_tables" in refused.err
        assert fresh.count().answering() == REPLICAS
        fresh.host.must("modprobe", "--all", "ip_tables", "ip6_tables")
    fresh.netshare("attach", "web", "80", "--driver", "iptables")
    assert fresh.count().answering() == REPLICAS
    assert "NETSHARE" in fresh.host.must("iptables-legacy-save", "-t", "nat")
    assert fresh.host.run(*TABLE.split()).code != 0
    fresh.netshare("attach", "web", "80", "--driver", "nftables")
    assert fresh.count().answering() == REPLICAS
    assert "NETSHARE" not in fresh.host.must("iptables-legacy-save", "-t", "nat")

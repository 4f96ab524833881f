"""A kernel without nf_tables: the same questions to the real kernel, about a subsystem that it does not have."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from netshare import wiring
from netshare.core.model import AUTO, IPTABLES, NFTABLES, StaticEndpoint
from netshare.errors import NetfilterError
from netshare.host import Host
from netshare.lab.topology import Lab
from netshare.lab.traffic import send
from netshare.netfilter.forwarding.host import HostForwarding
from netshare.netfilter.nftables import driver as native
from netshare.netfilter.nftables.driver import NftablesDriver
from netshare.netfilter.sockets import ListeningSockets
from netshare.netfilter.surroundings import look
from netshare.operations.attach import attach
from netshare.operations.request import AttachRequest
from netshare.operations.reset import reset
from netshare.runtime.agent import AgentClient
from tests.inside import host_drivers
from tests.netns.nft import run
from tests.prerequisites import legacy_iptables, require

pytestmark = pytest.mark.netns

_NONE = 14  # NFNL_SUBSYS_COUNT and beyond: no kernel has it


@pytest.fixture(autouse=True)
def prerequisites(monkeypatch: pytest.MonkeyPatch) -> None:
    require(legacy_iptables())
    for module in (native, look):
        monkeypatch.setattr(module, "SUBSYSTEM_NFTABLES", _NONE)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    driver, forwarding = NftablesDriver(), HostForwarding()
    wired = wiring.host(tmp_path / "state", tmp_path / "run")
    yield replace(wired, engines={}, driver=host_drivers(driver, AUTO), forwarding=forwarding)
    driver.close()
    forwarding.close()


def attached(lab: Lab, host: Host, directory: Path, driver: str | None = None) -> None:
    endpoints = tuple(StaticEndpoint(each.endpoint.address, 8080) for each in lab.replicas.values())
    request = AttachRequest("web", 80, endpoints=endpoints, driver=driver)
    client = AgentClient(directory / "run")
    lab.host.run(attach, host, client, ListeningSockets(), request, clock=time, progress=lambda _: None)


def test_auto_is_iptables_and_serves_past_a_firewall_that_drops(lab: Lab, host: Host, tmp_path: Path) -> None:
    assert run(lab.host, "iptables-legacy", "-P", "FORWARD", "DROP").returncode == 0
    attached(lab, host, tmp_path)
    assert lab.host.run(lambda: host.driver.name) == IPTABLES
    assert set(send(lab.client.namespace, lab.at(80), 20).answers) == set(lab.replicas)
    assert lab.host.run(host.forwarding.missing) == []
    lab.host.run(reset, host, AgentClient(tmp_path / "run"))
    assert "netshare" not in run(lab.host, "iptables-legacy-save").stdout.lower()
    assert not run(lab.host, "nft", "-j", "list", "tables").stdout.count('"name": "netshare"')


def test_asking_for_nftables_says_what_is_missing(lab: Lab, host: Host, tmp_path: Path) -> None:
    with pytest.raises(NetfilterError, match="this kernel has no nf_tables") as refused:
        attached(lab, host, tmp_path, NFTABLES)
    assert "iptables" in str(refused.value.hint)

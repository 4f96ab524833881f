"""Services that labels make, in the kernel: told from others, saved and loaded again by the real nft."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from netshare.core.labelled import MAX_NAME
from netshare.core.model import Source
from netshare.lab.topology import Lab
from netshare.lab.traffic import send
from netshare.netfilter.driver import Observation
from tests.fakes.engine import container
from tests.netns.machine import Machine, machine
from tests.netns.nft import load, nft

pytestmark = pytest.mark.netns

NAME = "x" * 63 + "/" + "y" * (MAX_NAME - 64)


@pytest.fixture
def host(lab: Lab, tmp_path: Path) -> Iterator[Machine]:
    with machine(lab, tmp_path) as host:
        yield host


def label(host: Machine, **values: str) -> None:
    """Have all replicas say this."""
    said = {f"netshare.{key}": value for key, value in values.items()}
    replicas = host.lab.replicas.values()
    host.engine.running = [container(one.name, str(one.address), str(one.address6), labels=said) for one in replicas]


def observed(host: Machine) -> Observation:
    return host.lab.host.run(host.host.driver.observe)


def test_the_longest_name_is_saved_and_loaded_again(host: Machine) -> None:
    label(host, service=NAME, port="80,53/udp", to="8080")
    [service] = host.reconcile().labelled
    before = observed(host)
    assert {dispatch.service for dispatch in before.ruleset.dispatches.values()} == {f"{NAME} (labels)"}
    saved = nft(host.lab.host, "list", "table", "inet", "netshare")
    nft(host.lab.host, "delete", "table", "inet", "netshare")
    load(host.lab.host, saved)
    assert observed(host).ruleset == before.ruleset
    assert observed(host).intact
    assert host.reconcile().change.is_empty
    assert service.owner == f"{NAME} (labels)"


def test_packets_follow_labels_and_a_change_of_hands_is_not_noticed(host: Machine) -> None:
    label(host, service="web", port="80", to="8080")
    [service] = host.reconcile().labelled
    client, to = host.lab.client.namespace, host.lab.at(80)
    assert send(client, to, 60).answers.keys() == set(host.lab.replicas)
    tracked = host.tracked()
    host.host.store.save(replace(service, source=Source.ATTACH))
    change = host.reconcile().change
    assert {(old.service, new.service) for old, new in change.altered.values()} == {("web (labels)", "web")}
    assert {old.slots == new.slots for old, new in change.altered.values()} == {True}
    assert send(client, to, 60).answers.keys() == set(host.lab.replicas)
    assert tracked.keys() <= host.tracked().keys()

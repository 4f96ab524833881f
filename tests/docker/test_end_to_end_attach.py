"""`netshare attach web 80` on real containers, with no agent: where a client's connections go."""

from ipaddress import ip_address
from typing import Any

import pytest

from netshare.lab.conversation import FailureKind
from tests.docker.admin import RULE, Admin

pytestmark = pytest.mark.docker

REPLICAS = ("web-1", "web-2", "web-3")


@pytest.fixture(params=["bridge", "shop"])
def network(admin: Admin, request: pytest.FixtureRequest) -> str:
    """Docker's default network, and one of a user's; three replicas on it that publish nothing."""
    name = str(request.param)
    if name != "bridge":
        admin.lab.docker.networks.create(name)
    for replica in REPLICAS:
        admin.lab.run(replica, network=name)
    return name


def test_connections_are_spread_and_keep_their_address(admin: Admin, network: str) -> None:
    assert "-P FORWARD DROP" in admin.tool("iptables", "-S", "FORWARD")
    done = admin.attach()
    assert done.out == "web: 80/tcp -> 3 replicas ready (web-1, web-2, web-3)\n"
    sent = admin.requests(300)
    assert sent.failures == ()
    assert sent.clients == {ip_address(admin.lab.client_address)}
    assert sent.answers.keys() == set(REPLICAS)
    # Random: of three fair ones, each is outside of 70 to 130 in 300 about once in 5,000 times.
    assert all(70 <= answers <= 130 for answers in sent.answers.values()), sent.answers
    assert {name: r["connections_total"] for name, r in admin.status().items()} == sent.answers

    containers = {name: admin.lab.docker.containers.get(name) for name in REPLICAS}
    contract: dict[str, Any] = {
        "schema": 1,
        "agent": {"running": False, "pid": None},
        "services": [
            {
                "name": "web",
                "strategy": "random",
                "driver": "nftables",
                "source": "attach",
                "listeners": [{"address": "*", "port": 80, "protocol": "tcp"}],
                "replicas": [
                    {
                        "name": name,
                        "id": container.id,
                        "engine": "docker",
                        "endpoint": f"{admin.lab.address(container, network)}:8080",
                        "state": "ready",
                        "weight": 1,
                        "connections_total": sent.answers[name],
                        "connections_active": 0,
                        "reason": None,
                    }
                    for name, container in containers.items()
                ],
            }
        ],
    }
    assert only(admin.netshare("status", "-o", "json").document, contract) == contract
    del contract["services"][0]["replicas"]
    assert only(admin.netshare("list", "-o", "json").document, contract) == contract


def only(document: Any, contract: Any) -> Any:  # noqa: ANN401 (JSON)
    """Leave out the fields that a contract does not name: they may be added at any time."""
    if isinstance(document, dict) and isinstance(contract, dict):
        return {key: only(document[key], value) for key, value in contract.items()}
    if isinstance(document, list) and isinstance(contract, list) and len(document) == len(contract):
        return [only(one, other) for one, other in zip(document, contract, strict=True)]
    return document


def test_nothing_passes_without_the_rule_in_docker_user(admin: Admin) -> None:
    admin.lab.run("web-1")
    admin.attach()
    assert admin.docker_user() == [RULE, "-A DOCKER-USER -j RETURN"]
    assert admin.requests(5).failures == ()
    admin.tool("iptables", "-D", "DOCKER-USER", "1")
    assert admin.requests(5, timeout=0.3).failures_by_kind == {FailureKind.TIMEOUT: 5}
    assert admin.netshare("sync").code == 0
    assert admin.docker_user() == [RULE, "-A DOCKER-USER -j RETURN"]
    assert admin.requests(5).failures == ()


def test_attached_again_nothing_changes(admin: Admin) -> None:
    admin.lab.run("web-1")
    admin.attach()
    before = admin.generation(), admin.firewall()
    assert admin.attach("-o", "json").document["changed"] is False
    assert (admin.generation(), admin.firewall()) == before


def test_a_dry_run_changes_nothing(admin: Admin) -> None:
    admin.lab.run("web-1")
    before = admin.generation(), admin.firewall()
    done = admin.attach("--dry-run")
    assert "table inet netshare" in done.out
    assert (admin.generation(), admin.firewall()) == before
    assert not admin.state.exists()


def test_open_connections_are_counted_and_outlive_a_detach(admin: Admin) -> None:
    admin.lab.run("web-1")
    admin.attach()
    with admin.lab.converse() as conversation:
        assert conversation.ask().replica == "web-1"
        assert admin.status()["web-1"]["connections_active"] == 1
        assert admin.netshare("detach", "web").code == 0
        assert conversation.ask().replica == "web-1"
    assert admin.requests(3, timeout=0.3).failures_by_kind == {FailureKind.REFUSED: 3}


def test_a_port_that_is_not_the_exposed_one_and_a_second_listener(admin: Admin) -> None:
    admin.lab.run("web-1", labels={"app": "shop"})
    assert admin.netshare("attach", "shop", "81", "--select", "app=shop", "--to", "8080").code == 0
    assert admin.netshare("attach", "shop", "80").code == 0
    assert admin.requests(3).answers == {"web-1": 3}
    assert admin.netshare("detach", "shop", "80").out == "shop: 80/tcp detached; still on 81/tcp\n"
    assert admin.requests(3).failures_by_kind == {FailureKind.REFUSED: 3}


def test_without_a_replica_clients_are_refused_at_once(admin: Admin) -> None:
    admin.attach("--no-wait")
    sent = admin.requests(20, timeout=1.0)
    assert sent.failures_by_kind == {FailureKind.REFUSED: 20}
    admin.lab.run("web-1")
    admin.attach()
    assert admin.requests(3).answers == {"web-1": 3}
    admin.lab.docker.containers.get("web-1").stop()
    assert admin.netshare("sync").code == 0
    assert admin.requests(20, timeout=1.0).failures_by_kind == {FailureKind.REFUSED: 20}

"""`netshare attach web 80` on real containers of Podman, with no agent: where a client's connections go."""

import json
from ipaddress import ip_address

import pytest

from netshare.lab.conversation import FailureKind
from tests.docker import image
from tests.podman.admin import PodmanAdmin

pytestmark = pytest.mark.podman

REPLICAS = ("web-1", "web-2", "web-3")


@pytest.fixture(params=["podman", "shop"])
def network(admin: PodmanAdmin, request: pytest.FixtureRequest) -> str:
    """Podman's default network, and one of a user's; three replicas on it that publish nothing."""
    name = str(request.param)
    if name != "podman":
        admin.lab.podman.run("network", "create", name)
    for replica in REPLICAS:
        admin.lab.run(replica, network=name)
    return name


def test_connections_are_spread_and_keep_their_address(admin: PodmanAdmin, network: str) -> None:
    done = admin.attach()
    assert done.out == "web: 80/tcp -> 3 replicas ready (web-1, web-2, web-3)\n"
    sent = admin.requests(300)
    assert sent.failures == ()
    assert sent.clients == {ip_address(admin.lab.client_address)}
    assert sent.answers.keys() == set(REPLICAS)
    assert all(70 <= answers <= 130 for answers in sent.answers.values()), sent.answers
    found = admin.status()
    assert {name: r["connections_total"] for name, r in found.items()} == sent.answers
    for name, replica in found.items():
        started = admin.lab.docker.containers.get(name)
        assert (replica["id"], replica["engine"], replica["state"]) == (started.id, "podman", "ready")
        assert replica["endpoint"] == f"{admin.lab.address(started, network)}:8080"


def test_attached_again_nothing_changes(admin: PodmanAdmin) -> None:
    admin.lab.run("web-1")
    admin.attach("--engine", "podman")
    before = admin.generation(), admin.firewall()
    assert admin.attach("-o", "json").document["changed"] is False
    assert (admin.generation(), admin.firewall()) == before


def test_a_replica_reaches_its_siblings_and_itself_at_the_hosts_address(admin: PodmanAdmin, network: str) -> None:
    admin.attach()
    at = admin.lab.at(80)
    answered = set()
    for _ in range(40):  # one of three is missed by so many once in ten million times
        line = admin.lab.podman.run("exec", "web-1", "/bin/busybox", "nc", "-w", "3", str(at.address), str(at.port))
        answered.add(json.loads(line)["replica"])
        if answered == set(REPLICAS):
            break
    assert answered == set(REPLICAS), network


@pytest.mark.parametrize("prefix", ["io.podman.compose", "com.docker.compose"])
def test_a_compose_service(admin: PodmanAdmin, prefix: str) -> None:
    for project in ("shop", "blog"):
        admin.lab.run(f"{project}_web_1", labels={f"{prefix}.project": project, f"{prefix}.service": "web"})
    admin.attach()
    assert admin.requests(40).answers.keys() == {"shop_web_1", "blog_web_1"}
    assert admin.netshare("attach", "blog/web", "81").code == 0
    with admin.lab.converse(81) as conversation:
        assert conversation.ask().replica == "blog_web_1"


def test_a_container_of_a_pod_is_reached_at_the_pods_address(admin: PodmanAdmin) -> None:
    admin.lab.podman.run("pod", "create", "--name", "shop", "--label", "netshare.service=web", "--hostname", "shop")
    admin.lab.podman.run("run", "--detach", "--pod", "shop", "--name", "shop-app", image.NAME)
    refused = admin.netshare("attach", "web", "80", "--to", "8080")
    assert refused.code == 1
    assert "it only holds the network of pod shop: name or label the containers in the pod" in refused.err
    assert admin.netshare("attach", "shop-app", "80", "--to", "8080").code == 0
    assert admin.requests(10).answers == {"shop": 10}


def test_what_cannot_be_reached_is_told_and_the_others_are_served(admin: PodmanAdmin) -> None:
    admin.tool("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "uplink-peer")
    lab = admin.lab
    lab.podman.run(
        "network", "create", "--driver", "macvlan", "--opt", "parent=uplink", "--subnet", "192.0.2.0/24", "lan"
    )
    lab.podman.run("network", "create", "--internal", "backend")
    lab.run("web-1")
    lab.run("web-2", network="lan")
    lab.run("web-3", network="backend")
    for number, mode in ((4, "none"), (5, "container:web-1"), (6, "host")):
        lab.podman.run(
            *("run", "--detach", "--name", f"web-{number}", "--network", mode, image.NAME),
            *("/bin/busybox", "sleep", "60"),
        )
    done = admin.attach()
    assert admin.requests(10).answers == {"web-1": 10}
    reasons = {
        "web-2": "network lan is of driver macvlan; only bridge networks can be reached",
        "web-3": "network backend is internal: nothing outside may reach it",
        "web-4": "it has no network (--network none): start it on a bridge network",
        "web-5": "it shares the network of container",
        "web-6": "it uses the host's network (--network host): start it on a bridge network",
    }
    found = admin.status()
    assert found.keys() == {"web-1", *reasons}
    for name, reason in reasons.items():
        assert (found[name]["state"], reason in found[name]["reason"]) == ("unhealthy", True), found[name]
        assert f"{name} gets no traffic: " in done.err
    admin.tool("ip", "link", "del", "uplink")


def test_a_replica_on_two_networks(admin: PodmanAdmin) -> None:
    replica = admin.lab.run("web-1")
    admin.lab.docker.networks.create("shop").connect(replica)
    done = admin.netshare("attach", "web", "80")
    assert done.code == 2
    assert "the replicas of web are on several networks: podman, shop\n" in done.err
    admin.attach("--network", "shop")
    assert admin.status()["web-1"]["endpoint"] == f"{admin.lab.address(replica, 'shop')}:8080"
    assert admin.requests(3).answers == {"web-1": 3}


def test_a_port_that_a_container_or_a_pod_publishes(admin: PodmanAdmin) -> None:
    admin.lab.run("web-1")
    admin.lab.podman.run("pod", "create", "--name", "rival", "--infra-name", "rival-infra", "--publish", "80:8080")
    admin.lab.podman.run("run", "--detach", "--pod", "rival", "--name", "rival-app", image.NAME)
    done = admin.netshare("attach", "web", "80", "-o", "json")
    assert done.code == 4
    assert done.document["error"]["message"] == "80/tcp is published by container rival-infra (podman)"


def test_health_decides(admin: PodmanAdmin) -> None:
    check = {"test": ["CMD-SHELL", "! test -e /ill"], "interval": 60_000_000_000, "retries": 1}
    admin.lab.run("web-1", healthcheck=check)
    admin.lab.run("web-2")
    admin.attach()
    assert admin.status()["web-1"]["reason"] == "its HEALTHCHECK has not passed yet"
    for command, answers, state in (("true", {"web-1", "web-2"}, "ready"), ("touch /ill", {"web-2"}, "unhealthy")):
        admin.lab.podman.run("exec", "web-1", "/bin/busybox", *command.split())
        admin.lab.podman.try_run("healthcheck", "run", "web-1")  # systemd's timer would, and there is none here
        assert admin.netshare("sync").code == 0
        assert admin.requests(40).answers.keys() == answers
        assert admin.status()["web-1"]["state"] == state


def test_without_a_replica_clients_are_refused_at_once(admin: PodmanAdmin) -> None:
    admin.lab.run("web-1")
    admin.attach()
    admin.lab.stop("web-1")
    assert admin.netshare("sync").code == 0
    assert admin.requests(20, timeout=1.0).failures_by_kind == {FailureKind.REFUSED: 20}

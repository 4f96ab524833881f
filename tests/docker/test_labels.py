"""Containers attached by their labels alone, on a real Docker: followed, decided, shown, and no harm to others."""

import signal
from typing import Any

import pytest

from netshare.lab.conversation import FailureKind
from tests.docker.admin import Admin
from tests.docker.hints import eventually

pytestmark = pytest.mark.docker

NOWHERE = "unix:///nowhere/docker.sock"


def labels(service: str = "web", port: str = "80", **more: str) -> dict[str, str]:
    return {f"netshare.{key}": value for key, value in {"service": service, "port": port, **more}.items()}


def services(admin: Admin, code: int = 0) -> dict[str, Any]:
    """Give what `list` shows, by name; `status` shows the same services."""
    listed, shown = admin.netshare("list", "-o", "json"), admin.netshare("status", "-o", "json")
    assert (listed.code, shown.code) == (0, code), (listed, shown)
    found = {service["name"]: service for service in listed.document["services"]}
    assert found.keys() == {service["name"] for service in shown.document["services"]}
    return found


def notices(admin: Admin) -> list[tuple[str, str]]:
    done = admin.netshare("status", "-o", "json")
    assert done.code == 0, done
    return [(notice["container"], notice["message"]) for notice in done.document["notices"]]


def is_refused(admin: Admin) -> bool:
    return admin.requests(3, timeout=1.0).failures_by_kind == {FailureKind.REFUSED: 3}


def test_with_the_agent_running_labels_are_enough(admin: Admin) -> None:
    agent = admin.start_agent()
    assert services(admin) == {}
    admin.lab.run("one", labels=labels())
    admin.await_traffic("one")
    second = admin.lab.run("two", labels=labels())
    admin.await_traffic("one", "two")
    found = services(admin)["web"]
    assert found["source"] == "labels"
    assert found["listeners"] == [{"address": "*", "port": 80, "protocol": "tcp", "to": None}]
    assert {name: replica["state"] for name, replica in admin.status().items()} == {"one": "ready", "two": "ready"}
    assert not (admin.state / "services").exists()
    # As long as a container carries it, the service keeps its port; nothing is left of it when they are gone.
    second.stop()
    admin.await_traffic("one")
    admin.lab.docker.containers.get("one").stop()
    eventually(lambda: is_refused(admin))
    assert "web" in services(admin)
    second.start()
    admin.await_traffic("two")
    for name in ("one", "two"):
        admin.lab.docker.containers.get(name).remove(force=True)
    eventually(lambda: services(admin) == {})
    assert agent.process.poll() is None
    assert 'comment "web' not in admin.tool("nft", "list", "table", "inet", "netshare")


def test_without_an_agent_a_sync_does_it(admin: Admin) -> None:
    admin.lab.run("one", labels=labels(port="80,81/udp"))
    admin.lab.run("two", labels={"netshare.service": "web"})
    assert admin.netshare("sync").out == "in step: 1 service, 2 of 2 replicas ready\n"
    assert admin.requests(40).answers.keys() == {"one", "two"}
    assert {(each["port"], each["protocol"]) for each in services(admin)["web"]["listeners"]} == {
        (80, "tcp"),
        (81, "udp"),
    }
    admin.lab.clear()
    assert admin.netshare("sync").code == 0
    assert services(admin) == {}


def test_what_is_re_created_with_other_labels_is_followed(admin: Admin) -> None:
    admin.start_agent()
    admin.lab.run("one", labels=labels(port="81"))
    admin.lab.run("two", labels=labels(port="81"))
    eventually(lambda: "web" in services(admin))
    admin.lab.docker.containers.get("one").remove(force=True)
    admin.lab.run("one", labels=labels())
    admin.await_traffic("one")
    assert [each["port"] for each in services(admin)["web"]["listeners"]] == [80, 81]
    admin.lab.docker.containers.get("one").remove(force=True)
    admin.lab.run("one", labels=labels("shop"))
    admin.await_traffic("one")
    found = services(admin)
    assert {name: [each["port"] for each in found[name]["listeners"]] for name in found} == {"shop": [80], "web": [81]}


def test_hostile_labels_harm_nobody_else(admin: Admin) -> None:
    agent = admin.start_agent()
    admin.lab.run("good", labels=labels())
    hostile = {
        "a-port": labels(port="80,99999"),
        "a-name": labels("../../etc/passwd\x1b[2J"),
        "a-weight": labels("other", "82", weight="1e9"),
        "a-crowd": labels("other", ",".join(map(str, range(1000, 1200)))),
        "a-length": labels("other", "8" * 100_000),
        "a-health": labels("other", "82", health="http:/\r\nX: y"),
        "a-squatter": labels("aaa", "80"),
        "a-typo": {**labels("other", "83"), "netshare.prot": "84"},
    }
    for name, said in hostile.items():
        admin.lab.run(name, labels=said)
    eventually(lambda: {name for name, _ in notices(admin)} == hostile.keys())
    assert admin.requests(20).answers == {"good": 20}
    assert services(admin).keys() == {"web", "other"}
    table = admin.netshare("status")
    assert table.code == 0
    assert "\x1b" not in table.out + table.err
    assert (
        "netshare: container a-squatter (docker): it is not put behind 80/tcp: service web has it by its labels\n"
        in table.err
    )
    for _ in range(3):
        agent.sync()
    logged = [line for line in agent.log() if line.startswith("WARNING label container=")]
    assert len(logged) == len(hostile)
    assert all(line.isprintable() for line in agent.log())


def test_a_port_that_others_have_is_not_taken(admin: Admin) -> None:
    admin.lab.run("shop-1")
    assert admin.netshare("attach", "shop", "80").code == 0
    admin.lab.run("rival", ports={"8080/tcp": 81})
    agent = admin.start_agent()
    with admin.listening(82):
        admin.lab.run("one", labels=labels(port="80,81,82,83"))
        eventually(lambda: "web" in services(admin))
        assert [each["port"] for each in services(admin)["web"]["listeners"]] == [83]
        reasons = [reason for name, reason in notices(admin) if name == "one"]
        for port, reason in (
            (80, "service shop, which is attached by hand, has it"),
            (81, "container rival"),
            (82, "busybox"),
        ):
            assert [reason in said for said in reasons if f"behind {port}/tcp" in said] == [True]
        assert admin.requests(10).answers == {"shop-1": 10}
    # It is its when nobody has it any more.
    assert admin.netshare("detach", "shop").code == 0
    admin.await_traffic("one")
    agent.sync()
    assert [each["port"] for each in services(admin)["web"]["listeners"]] == [80, 82, 83]


def test_attached_as_well_the_definition_decides(admin: Admin) -> None:
    admin.start_agent()
    admin.lab.run("one", labels=labels(port="80,81"))
    admin.await_traffic("one")
    with admin.load() as load, admin.lab.converse() as conversation:
        conversation.ask()
        admin.attach()
        assert services(admin)["web"]["source"] == "attach"
        assert [reason for _, reason in notices(admin)] == [
            "it is not put behind 81/tcp: web is attached by hand, and that decides"
        ]
        detached = admin.netshare("detach", "web")
        assert detached.code == 0
        assert "web goes on by its containers' labels, on 80/tcp, 81/tcp" in detached.err
        assert conversation.ask().replica == "one"
        sent = load.stop()
    assert sent.failures == ()
    assert services(admin)["web"]["source"] == "labels"


def test_it_is_not_to_be_detached(admin: Admin) -> None:
    admin.lab.run("one", labels=labels())
    assert admin.netshare("sync").code == 0
    done = admin.netshare("detach", "web", "-o", "json")
    assert done.code == 1
    assert "the labels of its containers make it" in done.document["error"]["message"]
    assert "run one without the label netshare.port" in done.document["error"]["hint"]
    assert admin.requests(3).answers == {"one": 3}


def test_a_crash_of_docker_changes_nothing(admin: Admin) -> None:
    admin.lab.run("one", labels=labels(), restart_policy={"Name": "always"})
    agent = admin.start_agent()
    admin.await_traffic("one")
    before = admin.generation(), admin.firewall()
    admin.lab.daemon.down(signal.SIGKILL)
    eventually(lambda: any("state=unreachable" in line for line in agent.log()))
    agent.sync()
    assert services(admin, code=6)["web"]["source"] == "labels"
    assert admin.netshare("detach", "web").code == 1
    agent.end()
    successor = admin.start_agent(DOCKER_HOST=NOWHERE)
    successor.sync()
    assert (admin.generation(), admin.firewall()) == before
    successor.end()
    admin.lab.daemon.up()
    admin.start_agent()
    admin.await_traffic("one")


def test_without_an_engine_and_without_services_nothing_is_wrong(admin: Admin) -> None:
    for words in (("sync",), ("status",), ("list",)):
        assert admin.netshare(*words, DOCKER_HOST=NOWHERE).code == 0


class TestWeights:
    def test_by_label_and_by_hand(self, admin: Admin) -> None:
        admin.start_agent()
        admin.lab.run("one", labels=labels(weight="0"))
        admin.lab.run("two", labels=labels(weight="3"))
        admin.await_traffic("two")
        assert {name: replica["weight"] for name, replica in admin.status().items()} == {"one": 0, "two": 3}
        assert admin.status()["one"]["state"] == "ready"
        with admin.lab.converse() as conversation:
            assert conversation.ask().replica == "two"
            identity = admin.status()["one"]["id"]
            assert admin.netshare("weight", "web", identity[:12], "9").out == "web: one has weight 9 of 12\n"
            found = admin.requests(400).answers
            # 3 of 4: outside of 250 to 350 less than once in a million times.
            assert 250 <= found["one"] <= 350, found
            assert admin.netshare("weight", "web", "two", "0").code == 0
            assert admin.requests(40).answers == {"one": 40}
            assert conversation.ask().replica == "two"
        unknown = admin.netshare("weight", "web", "three", "1")
        assert (unknown.code, "web has no replica 'three'" in unknown.err) == (3, True)
        # A container of the same name has the same weight.
        admin.lab.docker.containers.get("two").remove(force=True)
        admin.lab.run("two", labels=labels())
        eventually(lambda: admin.status()["two"]["state"] == "ready")
        assert admin.requests(40).answers == {"one": 40}

    def test_given_to_attach(self, admin: Admin) -> None:
        admin.lab.run("web-1")
        admin.lab.run("web-2", labels={"netshare.weight": "7"})
        admin.attach("--weight", "web-1=0", "--strategy", "round-robin")
        assert admin.requests(10).answers == {"web-2": 10}
        admin.attach("--weight", "web-1=7")
        assert admin.requests(10).answers == {"web-1": 5, "web-2": 5}
        assert admin.netshare("attach", "web", "80", "--weight", "web-9=1").code == 3

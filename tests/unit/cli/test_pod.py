"""The words of ``netshare pod`` over a fake engine: what is printed where, and the exit code."""

import pytest

from netshare import wiring
from netshare.cli import output
from netshare.core.pods import Published
from netshare.engine.pods import Replica, Sandbox
from netshare.operations import pod as operation
from tests.fakes.host import FakeHost
from tests.fakes.pods import FakePods
from tests.unit.cli.conftest import Netshare


@pytest.fixture(autouse=True)
def pods(fake: FakeHost, monkeypatch: pytest.MonkeyPatch) -> FakePods:
    engine = FakePods()
    monkeypatch.setattr(wiring, "pod_engines", lambda names: {name: engine for name in names if name == engine.name})
    monkeypatch.setattr(wiring, "store", lambda: fake.store)
    monkeypatch.setattr(operation, "_SETTLE_SECONDS", 0.0)
    return engine


def test_a_pods_life(netshare: Netshare, pods: FakePods) -> None:
    made = netshare("pod", "create", "web", "--publish", "80:8080", "--publish", "127.0.0.1:53:5353/udp")
    assert (made.code, made.out) == (0, "pod web: made, published 80:8080/tcp, 127.0.0.1:53:5353/udp\n")
    added = netshare("pod", "add", "web", "my/web", "--count", "2", "--env", "A=b", "--", "serve", "--reuse-port")
    assert added.out.startswith("pod web: web-1, web-2 started, published 80:8080/tcp")
    assert pods.started[1] == Replica(
        "web", "web-1", "my/web", ("serve", "--reuse-port"), (("NETSHARE_REPLICA", "web-1"), ("A", "b"))
    )
    header, row = netshare("pod", "list").out.splitlines()
    assert header.split() == ["POD", "ENGINE", "STATE", "PUBLISHED", "REPLICAS"]
    assert row.split() == ["web", "docker", "running", "80:8080/tcp,", "127.0.0.1:53:5353/udp", "2"]
    rows = [line.split() for line in netshare("pod", "status", "web").out.splitlines()]
    assert [row[1:3] for row in rows] == [
        ["CONTAINER", "ROLE"],
        ["web-pod", "sandbox"],
        ["web-1", "replica"],
        ["web-2", "replica"],
    ]
    assert netshare("pod", "remove", "web", "web-1", "--timeout", "3s").out == "pod web: web-1 removed\n"
    assert pods.graces == [("web-1", 3.0)]
    assert netshare("pod", "remove", "web", "--yes").out == "pod web: web-2, web-pod removed\n"
    assert "there is no pod; `netshare pod create" in netshare("pod", "list").err


def test_as_json(netshare: Netshare, pods: FakePods) -> None:
    pods.warnings = ("old kernel",)
    made = netshare("pod", "create", "web", "--publish", "80:8080", "-o", "json")
    assert (made.document["changed"], made.document["warnings"]) == (True, ["old kernel"])
    assert made.err == "netshare: warning: old kernel\n"
    assert netshare("pod", "add", "web", "my/web", "-o", "json").document["added"] == ["web-1"]
    [listed] = netshare("pod", "list", "-o", "json").document["pods"]
    [shown] = netshare("pod", "status", "web", "-o", "json").document["pods"]
    assert {**listed, "replicas": shown["replicas"]} == shown
    assert shown["published"] == [{"address": "*", "port": 80, "protocol": "tcp", "to": 8080}]
    [replica] = shown["replicas"]
    assert replica == {
        "name": "web-1",
        "id": "id-of-web-1",
        "image": "my/web",
        "state": "running",
        "detail": "",
    }
    removed = netshare("pod", "remove", "web", "-y", "-o", "json").document
    assert (removed["removed"], removed["pods"]) == (["web-1", "web-pod"], [])


def test_image_and_network_of_the_sandbox(netshare: Netshare, pods: FakePods) -> None:
    words = ("--publish", "80:8080", "--image", "my/web", "--network", "shop", "--engine", "docker")
    assert netshare("pod", "create", "web", *words).code == 0
    assert pods.started == [Sandbox("web", (Published(80, 8080),), "my/web", "shop")]


def test_removing_a_pod_is_asked_about(netshare: Netshare, monkeypatch: pytest.MonkeyPatch) -> None:
    netshare("pod", "create", "web", "--publish", "80:8080")
    asked = netshare("pod", "remove", "web")
    assert (asked.code, "--yes" in asked.err) == (2, True)
    monkeypatch.setattr(output, "confirm", lambda question: "with its 0 replicas" not in question)
    assert netshare("pod", "remove", "web").code == 1
    monkeypatch.setattr(output, "confirm", lambda question: "pod web" in question)
    assert netshare("pod", "remove", "web").code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("create web", 2),
        ("create web --publish 80", 2),
        ("create web --publish 0:80", 2),
        ("create a/b --publish 80:80", 2),
        ("create web --publish 80:80 --engine static", 2),
        ("create web --publish 80:80 --network -x", 2),
        ("create web --publish 80:80 --network host", 2),
        ("create web --publish 80:80 --image none", 3),
        ("create", 2),
        ("add web", 2),
        ("add web my/web", 3),
        ("add web my/web --count 0", 2),
        ("add web my/web --env A", 2),
        ("remove web --yes", 3),
        ("remove web --timeout never", 2),
        ("status web", 3),
        ("dance", 2),
    ],
)
def test_what_is_wrong_is_told_with_its_mend(netshare: Netshare, pods: FakePods, words: str, code: int) -> None:
    done = netshare("pod", *words.split())
    assert done.code == code, done.err
    assert "  hint: " in done.err
    assert not pods.here


def test_a_port_of_a_service(netshare: Netshare, pods: FakePods) -> None:
    assert netshare("attach", "web", "80").code == 0
    done = netshare("pod", "create", "web", "--publish", "80:8080", "-o", "json")
    assert (done.code, done.document["error"]["code"]) == (4, "port_conflict")
    assert not pods.here


def test_its_help_names_the_verbs(netshare: Netshare) -> None:
    shown = netshare("pod", "--help")
    assert shown.code == 0
    for verb in ("create", "add", "remove", "list", "status"):
        assert verb in shown.out

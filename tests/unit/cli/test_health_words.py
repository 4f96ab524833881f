"""Health on the command line: its words, what is said of it, what is refused."""

import pytest

from netshare.core.checks import words
from netshare.core.health import Probe, Standing, Verdict
from netshare.core.model import FailMode
from tests.fakes.host import FakeHost
from tests.unit.cli.conftest import Netshare
from tests.unit.operations.attaching import endpoint


def test_attach_with_every_word_about_health(netshare: Netshare, fake: FakeHost) -> None:
    settings = "--interval 500ms --health-timeout 250ms --rise 1 --fall 2 --health-host shop.example --fail closed"
    done = netshare("attach", "web", "80", "--health", "http:8081/up", *settings.split())
    assert done.code == 0, done.err
    service = fake.store.services["web"]
    expected = "http:8081/up interval=500ms timeout=250ms rise=1 fall=2 host=shop.example"
    assert (words(service.health), service.fail) == (expected, FailMode.CLOSED)
    (listed,) = netshare("list", "-o", "json").document["services"]
    assert (listed["health"], listed["fail"]) == (expected, "closed")


def test_without_an_agent_it_says_that_nobody_probes(netshare: Netshare, fake: FakeHost) -> None:
    nobody = "health is probed only while `netshare agent` runs"
    assert nobody in netshare("attach", "web", "80", "--health", "tcp").err
    assert nobody in netshare("status").err
    fake.agent.running_pid, fake.health.is_probed = 4242, True
    assert nobody not in netshare("status").err


@pytest.mark.parametrize(
    "bad",
    [
        ["--health", "https:/up"],
        ["--health", "http:/up\nX: y"],
        ["--health", "http:/up interval=1s"],
        ["--health", "tcp", "--interval", "99ms"],
        ["--health", "tcp", "--interval", "2h"],
        ["--health", "tcp", "--health-timeout", "3s"],
        ["--health", "tcp", "--rise", "0"],
        ["--health", "tcp", "--fall", "101"],
        ["--health", "tcp", "--health-host", "shop.example"],
        ["--health", "http:/", "--health-host", "a\r\nb"],
        ["--interval", "1s"],
        ["--fail", "never"],
    ],
)
def test_what_is_refused_changes_nothing(netshare: Netshare, fake: FakeHost, bad: list[str]) -> None:
    done = netshare("attach", "web", "80", *bad)
    assert (done.code, fake.store.services) == (2, {})
    assert len(done.err.splitlines()) <= 2


def test_datagrams_alone_need_a_port_to_probe(netshare: Netshare) -> None:
    done = netshare("attach", "web", "53/udp", "--health", "http:/up")
    assert done.code == 2
    assert "needs a TCP port to probe" in done.err
    assert "http:8080/up" in done.err


def test_status_tells_of_what_probes_found(netshare: Netshare, fake: FakeHost) -> None:
    netshare("attach", "web", "80", "--health", "tcp")
    fake.agent.running_pid, fake.health.is_probed = 4242, True
    check = fake.store.services["web"].health
    felled = Verdict(Standing.UNHEALTHY, was_healthy=True, reason="connection refused")
    probes = [Probe("web", f"id-of-shop-web-{n}", endpoint(f"172.18.0.{n + 2}", 80), check) for n in (1, 2, 3)]
    fake.health.known = {probes[0]: felled}
    netshare("sync")
    status = netshare("status", "-o", "json").document["services"][0]
    assert [replica["state"] for replica in status["replicas"]] == ["unhealthy", "ready", "ready"]
    assert status["replicas"][0]["reason"] == "its health check fails: connection refused"
    assert status["failing_open"] is False
    fake.health.known = dict.fromkeys(probes, felled)
    netshare("sync")
    status = netshare("status", "-o", "json").document["services"][0]
    assert status["failing_open"] is True
    assert {replica["state"] for replica in status["replicas"]} == {"unhealthy"}
    assert "unhealthy, but so are all: still serving (fail open)" in netshare("status").out.replace("\n", " ")

"""Each verb with its words, over fakes: what is printed where, and the exit code."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from netshare import __version__, wiring
from netshare.cli import output, version
from netshare.core.model import Endpoint, Health, Listener, Protocol, PublishedPort
from netshare.core.ruleset import Target
from netshare.errors import NetfilterError, NotPermittedError
from netshare.operations import agent_unit
from netshare.operations.agent_unit import UnitChange
from netshare.runtime import capabilities
from netshare.runtime.revision import Revision
from tests.fakes.doors import Doors
from tests.fakes.engine import container
from tests.fakes.host import FakeHost
from tests.unit.cli.conftest import Netshare
from tests.unit.operations.attaching import HTTP, endpoint, slots


def test_attach_says_who_is_served(netshare: Netshare, fake: FakeHost) -> None:
    done = netshare("attach", "web", "80")
    assert done.code == 0
    assert done.out == "web: 80/tcp -> 3 replicas ready (shop-web-1, shop-web-2, shop-web-3)\n"
    assert "only while `netshare agent` runs" in done.err
    fake.agent.running_pid = 4242
    assert netshare("attach", "web", "80").err == ""


def test_attach_with_every_word(netshare: Netshare, fake: FakeHost) -> None:
    words = "--to 8080 --listen 10.0.0.1 --listen fd00::1 --select com.docker.compose.service=web --network bridge"
    more = "--engine docker --strategy random --driver nftables --wait --timeout 5s --force"
    done = netshare("attach", "api", "53/udp", *words.split(), *more.split())
    assert done.code == 0, done.err
    service = fake.store.services["api"]
    assert [str(listener) for listener in service.listeners] == ["10.0.0.1:53/udp", "[fd00::1]:53/udp"]
    assert {listener.to for listener in service.listeners} == {8080}
    assert service.select == (("com.docker.compose.service", "web"),)
    assert (service.network, service.engine, service.driver) == ("bridge", "docker", "nftables")


def test_attach_static(netshare: Netshare, fake: FakeHost) -> None:
    done = netshare("attach", "vm", "22", "--endpoint", "10.0.0.2", "--endpoint", "[fd00::2]:2222")
    assert done.out == "vm: 22/tcp -> 2 replicas ready (10.0.0.2, [fd00::2]:2222)\n"
    assert done.err == ""
    assert "22/tcp" in netshare("list").out
    assert fake.engine.listings > 0


def test_attach_to_a_port_that_nothing_listens_on(netshare: Netshare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "probe", lambda: Doors("172.18.0.3:80"))
    done = netshare("attach", "web", "80")
    assert done.code == 0
    assert "warning: nothing takes connections on port 80 of shop-web-1 so far (connection refused)" in done.err
    assert len(netshare("attach", "web", "80", "-o", "json").document["warnings"]) == 1


def test_attach_in_advance(netshare: Netshare) -> None:
    done = netshare("attach", "api", "81", "--no-wait")
    assert (done.code, done.out) == (0, "api: 81/tcp -> no replica ready yet\n")


def test_attach_as_json(netshare: Netshare) -> None:
    done = netshare("attach", "web", "80", "-o", "json")
    assert done.document["changed"] is True
    assert done.document["warnings"] == []
    [service] = done.document["services"]
    assert [replica["state"] for replica in service["replicas"]] == ["ready"] * 3


def test_attach_warns_of_single_replicas(netshare: Netshare, fake: FakeHost) -> None:
    fake.engine.running.append(container("odd", labels=dict(fake.engine.running[0].labels), obstacle="it is rootless"))
    done = netshare("attach", "web", "80")
    assert done.code == 0
    assert "netshare: warning: odd gets no traffic: it is rootless" in done.err


def test_a_dry_run_prints_what_would_be(netshare: Netshare, fake: FakeHost) -> None:
    done = netshare("attach", "web", "80", "--dry-run")
    assert (done.code, done.out.splitlines()) == (
        0,
        ["ip tcp 80 -> web: 172.18.0.3:80, 172.18.0.4:80, 172.18.0.5:80", "ip6 tcp 80 -> web: refuse"],
    )
    assert "ip tcp 80" in netshare("attach", "web", "80", "--dry-run", "-o", "json").document["rules"]
    assert fake.store.writes == 0
    assert fake.driver.committed == []


def test_waiting_is_told_once_where_there_is_no_terminal(netshare: Netshare, fake: FakeHost) -> None:
    fake.engine.running = [container("web", "172.17.0.2", health=Health.STARTING)]
    done = netshare("attach", "web", "80", "--timeout", "300ms")
    assert done.code == 8
    assert done.out == ""
    waiting = "netshare: web: waiting up to 0.3 s: web starting: its HEALTHCHECK has not passed yet"
    assert done.err.splitlines().count(waiting) == 1


def test_detach(netshare: Netshare, fake: FakeHost) -> None:
    netshare("attach", "web", "80")
    netshare("attach", "web", "443")
    assert netshare("detach", "web", "80").out == "web: 80/tcp detached; still on 443/tcp\n"
    document = netshare("detach", "web", "-o", "json").document
    assert document["removed"] == [{"address": "*", "port": 443, "protocol": "tcp", "to": None}]
    assert document["listeners"] == []
    assert fake.store.services == {}


def test_list(netshare: Netshare, fake: FakeHost) -> None:
    empty = netshare("list")
    assert (empty.code, empty.out) == (0, "")
    assert "nothing is attached" in empty.err
    netshare("attach", "web", "80", "--listen", "10.0.0.1")
    assert netshare("list").out.splitlines() == [
        "SERVICE  LISTENERS        REPLICAS FROM  STRATEGY",
        "web      10.0.0.1:80/tcp  any engine     random",
    ]
    fake.agent.running_pid = 4242
    assert netshare("list", "-o", "json").document == {
        "schema": 1,
        "agent": {"running": True, "pid": 4242},
        "services": [
            {
                "name": "web",
                "strategy": "random",
                "driver": "nftables",
                "source": "attach",
                "health": "engine",
                "fail": "open",
                "drain": "30s",
                "listeners": [{"address": "10.0.0.1", "port": 80, "protocol": "tcp", "to": None}],
            },
        ],
        "notices": [],
    }


def test_status(netshare: Netshare, fake: FakeHost) -> None:
    netshare("attach", "web", "80")
    fake.driver.connect(HTTP, 5)
    fake.connections.open[Target(Protocol.TCP, endpoint("172.18.0.3", 80))] = 12
    done = netshare("status")
    assert done.out.splitlines()[:2] == [
        "SERVICE  LISTENERS           REPLICA     ENDPOINT       STATE  WEIGHT  TOTAL  ACTIVE  REASON",
        "web      80/tcp (IPv4 only)  shop-web-1  172.18.0.3:80  ready  1       2      12",
    ]
    [service] = netshare("status", "web", "--output=json").document["services"]
    assert service["replicas"][0] == {
        "name": "shop-web-1",
        "id": "id-of-shop-web-1",
        "engine": "docker",
        "endpoint": "172.18.0.3:80",
        "endpoints": ["172.18.0.3:80"],
        "state": "ready",
        "weight": 1,
        "connections_total": 2,
        "connections_active": 12,
        "connections_per_second": None,
        "reason": None,
        "drain": None,
    }


def test_status_of_a_service_without_replicas(netshare: Netshare) -> None:
    netshare("attach", "api", "81", "--no-wait")
    assert "no replica: new connections are refused" in netshare("status").out
    assert netshare("status", "-o", "json").document["services"][0]["replicas"] == []


def test_status_of_an_ipv6_replica(netshare: Netshare, fake: FakeHost) -> None:
    fake.engine.running = [container("web", "fd00::2", "172.17.0.2")]
    netshare("attach", "web", "80")
    [replica] = netshare("status", "-o", "json").document["services"][0]["replicas"]
    assert replica["endpoint"] == "172.17.0.2:80"
    assert replica["endpoints"] == ["172.17.0.2:80", "[fd00::2]:80"]


def test_status_shows_what_it_can_and_tells_what_it_can_not(netshare: Netshare, fake: FakeHost) -> None:
    netshare("attach", "web", "80")
    fake.engine.die()
    silent = netshare("status", "-o", "json")
    assert silent.code == 6
    assert silent.document["error"]["code"] == "engine_unreachable"
    assert len(silent.document["services"][0]["replicas"]) == 3
    assert "hint: start it: systemctl start docker" in silent.err
    fake.store.corrupt("old")
    both = netshare("status", "-o", "json")
    assert both.code == 9
    assert [error["code"] for error in both.document["errors"]] == ["definition_invalid", "engine_unreachable"]
    listing = netshare("list", "-o", "json")
    assert (listing.code, listing.document["error"]["code"]) == (9, "definition_invalid")
    assert [service["name"] for service in listing.document["services"]] == ["web"]


def test_sync(netshare: Netshare, fake: FakeHost) -> None:
    netshare("attach", "web", "80")
    fake.engine.running.pop()
    assert netshare("sync").out == "in step: 1 service, 2 of 2 replicas ready\n"
    assert len(netshare("sync", "-o", "json").document["services"][0]["replicas"]) == 2
    fake.engine.die()
    assert netshare("sync").code == 6
    assert len(slots(fake)) == 2


def test_weight(netshare: Netshare, fake: FakeHost) -> None:
    netshare("attach", "web", "80", "--strategy", "round-robin", "--weight", "shop-web-3=2")
    assert slots(fake) == ["172.18.0.5:80", "172.18.0.3:80", "172.18.0.4:80", "172.18.0.5:80"]
    done = netshare("weight", "web", "shop-web-1", "0")
    assert (done.code, done.out, done.err) == (0, "web: shop-web-1 has weight 0 of 3\n", "")
    assert netshare("status").out.splitlines()[1].split()[5:8] == ["172.18.0.3:80", "ready", "0"]
    document = netshare("weight", "web", "shop-web-3", "0", "-o", "json").document
    assert document == {
        "schema": 1,
        "name": "web",
        "replica": "shop-web-3",
        "weight": 0,
        "weights": {"shop-web-1": 0, "shop-web-2": 1, "shop-web-3": 0},
        "changed": True,
    }
    none = netshare("weight", "web", "id-of-shop-web-2", "0")
    assert "netshare: every replica of web has weight 0: new connections are refused" in none.err
    assert slots(fake) == []


def test_services_that_labels_make(netshare: Netshare, fake: FakeHost) -> None:
    labels = {"netshare.service": "api", "netshare.port": "81", "netshare.strategy": "source-hash"}
    fake.engine.running = [
        container("api-1", "172.18.0.2", labels=labels),
        container("api-2\x1b[2J", "172.18.0.3", labels={"netshare.service": "api", "netshare.port": "80\n81"}),
    ]
    synced = netshare("sync")
    assert (synced.code, synced.out) == (0, "in step: 1 service, 1 of 2 replicas ready\n")
    told = (
        "netshare: container api-2\\x1b[2J (docker): its label netshare.port can't be used: '80\\n81' is not a port\n"
    )
    listed = netshare("list")
    assert listed.out.splitlines()[1].split() == ["api", "81/tcp", "labels", "source-hash"]
    assert synced.err == listed.err == told
    assert told in netshare("status").err
    for verb in ("list", "status"):
        document = netshare(verb, "-o", "json").document
        assert [(s["name"], s["source"]) for s in document["services"]] == [("api", "labels")]
        [notice] = document["notices"]
        assert (notice["engine"], notice["service"]) == ("docker", "api")
    detached = netshare("detach", "api", "-o", "json")
    assert (detached.code, detached.document["error"]["code"]) == (1, "failed")


def test_list_for_who_may_not_ask_the_kernel(netshare: Netshare, fake: FakeHost) -> None:
    netshare("attach", "web", "80")
    fake.driver.blindness = NotPermittedError("needs CAP_NET_ADMIN")
    done = netshare("list")
    assert (done.code, len(done.out.splitlines())) == (0, 2)
    assert done.err == "netshare: services that labels make are not listed: needs CAP_NET_ADMIN\n"


def test_rules(netshare: Netshare, fake: FakeHost) -> None:
    empty = netshare("rules")
    assert (empty.code, empty.out, empty.err) == (0, "", "netshare: netshare holds nothing in the kernel\n")
    netshare("attach", "web", "80")
    assert netshare("rules", "--format", "nft").out.startswith("ip tcp 80 -> web")
    assert netshare("rules", "-o", "json").document["intact"] is True
    fake.driver.tamper()
    assert "netshare sync" in netshare("rules").err
    other = netshare("rules", "--format", "iptables")
    assert (other.code, other.out) == (0, "")
    assert "netshare holds nothing in iptables" in other.err
    assert "netshare rules --format nft" in other.err


def test_reset(netshare: Netshare, fake: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    netshare("attach", "web", "80")
    asked = netshare("reset")
    assert (asked.code, asked.out) == (2, "")
    assert "add --yes" in asked.err
    monkeypatch.setattr(output, "confirm", lambda _: False)
    assert netshare("reset").code == 1
    assert fake.driver.observe().ruleset.dispatches
    assert netshare("reset", "--yes").code == 0
    assert not fake.driver.observe().ruleset.dispatches
    assert netshare("reset", "--yes", "-o", "json").document["reset"] is True
    monkeypatch.setattr(output, "confirm", lambda _: True)
    assert netshare("reset").code == 0


def test_agent_is_the_wirings(netshare: Netshare, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Endpoint | None] = []
    monkeypatch.setattr(wiring, "run_agent", runs.append)
    monkeypatch.delenv("NETSHARE_METRICS", raising=False)
    assert netshare("agent").code == 0
    assert netshare("agent", "--metrics", "[::1]:9440").code == 0
    monkeypatch.setenv("NETSHARE_METRICS", "127.0.0.1:9440")
    assert netshare("agent").code == 0
    assert list(map(str, runs)) == ["None", "[::1]:9440", "127.0.0.1:9440"]
    for wrong in ("9440", "localhost:9440", "::1:9440", "127.0.0.1:0", "127.0.0.1:", "127.0.0.1"):
        assert netshare("agent", "--metrics", wrong).code == 2


def test_agent_as_a_unit(netshare: Netshare, monkeypatch: pytest.MonkeyPatch) -> None:
    change = UnitChange(Path("/etc/systemd/system/netshare.service"), ("started (pid 7)",), ("/home/a is not root's",))
    monkeypatch.setattr(agent_unit, "install", lambda *_: change)
    monkeypatch.setattr(agent_unit, "uninstall", lambda *_: replace(change, done=(), warnings=()))
    done = netshare("agent", "install")
    assert (done.out, done.err) == ("netshare.service: started (pid 7)\n", "netshare: warning: /home/a is not root's\n")
    assert netshare("agent", "install", "-o", "json").document["done"] == ["started (pid 7)"]
    assert netshare("agent", "uninstall").out == "netshare.service: nothing to do\n"
    assert netshare("agent", "start").code == 2


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (None, f"netshare {__version__}\n"),
        (Revision("a1" * 20, is_modified=False), f"netshare {__version__} (git a1a1a1a1a1a1)\n"),
        (Revision("a1" * 20, is_modified=True), f"netshare {__version__} (git a1a1a1a1a1a1, with changes)\n"),
        (Revision("a1" * 20), f"netshare {__version__} (git a1a1a1a1a1a1)\n"),
    ],
)
def test_version_tells_the_revision(
    netshare: Netshare, monkeypatch: pytest.MonkeyPatch, found: Revision | None, line: str
) -> None:
    monkeypatch.setattr(version, "revision", lambda: found)
    assert netshare("version").out == line
    assert netshare("version", "-o", "json").document == {
        "schema": 1,
        "version": __version__,
        "revision": found.commit if found else None,
        "modified": found.is_modified if found else None,
    }


def test_version_and_help(netshare: Netshare) -> None:
    assert netshare("version").out == netshare("--version").out
    assert netshare("version").out.split()[:2] == ["netshare", __version__]
    bare = netshare()
    assert (bare.code, bare.out) == (0, netshare("--help").out)
    for verb in ("attach", "detach", "list", "status", "weight", "sync", "agent", "rules", "reset", "demo", "version"):
        assert f"\n  {verb} " in bare.out
        assert netshare(verb, "--help").code == 0


def published(fake: FakeHost) -> None:
    fake.engine.running.append(container("proxy", "172.17.0.9", published=(PublishedPort(80, Protocol.TCP),)))


def listening(fake: FakeHost) -> None:
    fake.sockets.listening[80] = ["nginx (pid 7)"]


def unreachable(fake: FakeHost) -> None:
    fake.engine.running = [container("web", obstacle="it uses the host's network")]


def refusing(fake: FakeHost) -> None:
    fake.driver.failure = NetfilterError("the kernel refused map services: no space left", hint="free some")


def exposing(fake: FakeHost) -> None:
    fake.engine.running = [container("web", "172.17.0.2", exposed=(80, 81))]


def starting(fake: FakeHost) -> None:
    fake.engine.running = [container("web", "172.17.0.2", health=Health.STARTING)]


def nothing(_: FakeHost) -> None:
    """Leave the host as it is."""


ATTACH = ("attach", "web", "80", "--timeout", "0")


@pytest.mark.parametrize(
    ("arrange", "words", "code", "name", "message"),
    [
        (unreachable, ATTACH, 1, "failed", "it uses the host's network"),
        (nothing, ("attach", "web", "0"), 2, "usage", "port 0 is out of range"),
        (nothing, ("attach", "web", "65536"), 2, "usage", "port 65536 is out of range"),
        (nothing, ("attach", "web", "abc"), 2, "usage", "'abc' is not a port"),
        (nothing, ("attach", "web", "80", "--to", "0"), 2, "usage", "port 0 is out of range"),
        (nothing, ("attach", "web", "80", "--driver", "frob"), 2, "usage", "there is no driver 'frob'"),
        (
            nothing,
            ("attach", "web", "80", "--driver", "iptables"),
            2,
            "usage",
            "the driver iptables can't be used here",
        ),
        (nothing, ("attach", "web", "80", "--engine", "lxd"), 2, "usage", "there is no engine 'lxd'"),
        (nothing, ("attach", "web", "80", "--strategy", "fair"), 2, "usage", "there is no strategy 'fair'"),
        (nothing, ("attach", "web", "80", "--weight", "shop-web-1"), 2, "usage", "is not REPLICA=W"),
        (nothing, ("attach", "web", "80", "--weight", "shop-web-1=257"), 2, "usage", "'257' is not a weight"),
        (nothing, ("weight", "web", "shop-web-1", "-1"), 2, "usage", "No such option: -1"),
        (nothing, ("weight", "web", "shop-web-1", "many"), 2, "usage", "'many' is not a weight"),
        (nothing, ("attach", "web", "80", "--listen", "0.0.0.0"), 2, "usage", "names no address"),
        (nothing, ("attach", "web", "80", "--timeout", "soon"), 2, "usage", "'soon' is not a time"),
        (nothing, ("attach", "../etc", "80"), 2, "usage", "is not a service name"),
        (nothing, ("attach", "web"), 2, "usage", "PORT"),
        (nothing, ("attach", "web", "80", "--frob"), 2, "usage", "--frob"),
        (nothing, ("frob",), 2, "usage", "frob"),
        (nothing, ("detach", "web", "x"), 2, "usage", "'x' is not a port"),
        (exposing, ATTACH, 2, "usage", "web exposes several tcp ports: 80, 81"),
        (nothing, ("attach", "nobody", "80"), 3, "not_found", "no container matches nobody"),
        (nothing, ("detach", "nobody"), 3, "not_found", "no service is called nobody"),
        (nothing, ("attach", "web", "80", "--weight", "shop-web-9=2"), 3, "not_found", "web has no replica"),
        (nothing, ("weight", "nobody", "web-1", "2"), 3, "not_found", "no service is called nobody"),
        (nothing, ("status", "nobody"), 3, "not_found", "no service is called nobody"),
        (published, ATTACH, 4, "port_conflict", "published by container proxy"),
        (listening, ATTACH, 4, "port_conflict", "in use by nginx (pid 7)"),
        (lambda fake: fake.engine.die(), ATTACH, 6, "engine_unreachable", "docker does not answer"),
        (refusing, ATTACH, 7, "kernel_refused", "the kernel refused map services"),
        (starting, ATTACH, 8, "timed_out", "its HEALTHCHECK has not passed yet"),
        (lambda fake: fake.store.corrupt("web"), ATTACH, 9, "definition_invalid", "web can't be used"),
        (lambda fake: fake.store.corrupt("web"), ("detach", "web"), 9, "definition_invalid", "web can't be used"),
        (lambda fake: fake.store.corrupt("web"), ("status", "web"), 9, "definition_invalid", "web can't be used"),
    ],
)
def test_every_failure_has_its_code_a_clear_line_and_a_mend(
    netshare: Netshare,
    fake: FakeHost,
    arrange: Callable[[FakeHost], None],
    words: tuple[str, ...],
    code: int,
    name: str,
    message: str,
) -> None:
    arrange(fake)
    done = netshare(*words)
    assert done.code == code
    assert done.out == ""
    *_, told, hint = done.err.splitlines()
    assert told.startswith("netshare: ")
    assert message in told
    assert hint.startswith("  hint: ")

    if words[0] == "frob":
        return
    arrange(fake)
    as_json = netshare(*words, "-o", "json")
    assert as_json.code == code
    assert as_json.document.keys() == {"schema", "error"}
    error = as_json.document["error"]
    assert error["code"] == name
    assert message in error["message"]
    assert error["hint"]


@pytest.mark.parametrize(
    "words",
    [
        ("attach", "web", "80"),
        ("detach", "web"),
        ("status",),
        ("weight", "web", "web-1", "2"),
        ("sync",),
        ("rules",),
        ("reset", "--yes"),
        ("agent",),
    ],
)
def test_an_ordinary_user_is_told_early(
    netshare: Netshare,
    fake: FakeHost,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    monkeypatch.setattr(capabilities, "has_net_admin", lambda: False)
    done = netshare(*words)
    assert (done.code, done.out) == (5, "")
    assert f"{words[0]} needs the right to program the kernel's network" in done.err
    assert fake.engine.listings == 0
    assert netshare("list").code == 0


def test_an_error_nobody_thought_of_is_not_hidden(netshare: Netshare, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(_metrics: Endpoint | None) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(wiring, "run_agent", bug)
    with pytest.raises(ZeroDivisionError):
        netshare("agent")


def test_interrupted(netshare: Netshare, fake: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    starting(fake)
    monkeypatch.setattr("time.sleep", interrupt)
    done = netshare("attach", "web", "80")
    assert done.code == 130
    assert done.err.splitlines()[-1].startswith("netshare: interrupted while waiting: the definition stays")
    assert fake.store.services["web"].listeners == (Listener(80),)


def test_a_hostile_name_can_not_reach_the_terminal(netshare: Netshare, fake: FakeHost) -> None:
    fake.engine.running = [container("web", "172.17.0.2", health=Health.UNHEALTHY, labels={"netshare.service": "web"})]
    fake.engine.running.append(container("\x1b[2Jevil\u202e\n", "172.17.0.3", labels={"netshare.service": "web"}))
    done = netshare("attach", "web", "80")
    assert "\\x1b[2Jevil\\u202e\\n" in done.out
    shown = netshare("status")
    assert "\x1b" not in shown.out + shown.err + done.out + done.err
    assert json.loads(netshare("status", "-o", "json").out)["services"][0]["replicas"][0]["name"].startswith("\x1b")

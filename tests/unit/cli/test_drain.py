"""``drain`` and ``resume``: what they say, to people and to programs, and how they end."""

import re
from dataclasses import replace

from netshare.core.model import Protocol
from netshare.core.ruleset import Target
from netshare.errors import DefinitionError
from netshare.reconcile import reconcile
from tests.fakes.host import FakeHost
from tests.unit.cli.conftest import Netshare
from tests.unit.operations.attaching import endpoint, slots

ONE = endpoint("172.18.0.3", 80)


def opened(fake: FakeHost, count: int) -> None:
    fake.connections.open = {Target(Protocol.TCP, ONE): count}
    fake.connections.ways = {(Protocol.TCP, 80, ONE): count}


def test_a_replica_gets_nothing_until_it_is_resumed(netshare: Netshare, fake: FakeHost) -> None:
    netshare("attach", "web", "80")
    opened(fake, 12)
    fake.agent.running_pid = 42
    done = netshare("drain", "web", "shop-web-1")
    assert (done.code, done.err) == (0, "")
    assert done.out == "web: shop-web-1 gets no new connections; 12 connections left, 30 s to go\n"
    assert slots(fake) == ["172.18.0.4:80", "172.18.0.5:80"]
    assert netshare("resume", "web", "shop-web-1").out == "web: shop-web-1 is resumed: it takes new connections\n"
    assert len(slots(fake)) == 3
    assert netshare("resume", "web", "id-of-shop-web-1").out.startswith("web: shop-web-1 was not drained")


def test_without_an_agent_it_says_that_nobody_keeps_the_deadline(netshare: Netshare, fake: FakeHost) -> None:
    netshare("attach", "web", "80")
    done = netshare("drain", "web", "shop-web-1", "--timeout", "90s")
    assert "90 s to go" in done.out
    assert "no agent runs: what shop-web-1 has left at its deadline is not cut before another verb runs" in done.err
    assert "no agent" not in netshare("drain", "web", "shop-web-1", "--timeout", "none").err
    fake.agent.running_pid = 42
    assert netshare("drain", "web", "shop-web-1").err == ""


def test_waiting_ends_when_nothing_is_left(netshare: Netshare) -> None:
    netshare("attach", "web", "80")
    done = netshare("drain", "web", "shop-web-1", "--wait")
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"web: shop-web-1 has no connections left after [0-9.]+ s\n", done.out)
    document = netshare("drain", "web", "shop-web-1", "--wait", "-o", "json").document
    assert document["ended"].pop("seconds") >= 0
    assert document == {
        "schema": 1,
        "name": "web",
        "replica": "shop-web-1",
        "connections_active": 0,
        "seconds_left": 30.0,
        "changed": False,
        "ended": {"how": "empty", "cut": 0},
        "warnings": [],
    }


def test_what_had_to_be_cut_is_an_exit_code(netshare: Netshare, fake: FakeHost) -> None:
    netshare("attach", "web", "80")
    netshare("drain", "web", "shop-web-1", "--timeout", "0s")
    [noted] = fake.drains.noted
    assert noted.cut == 0
    fake.drains.noted = (replace(noted, cut=3),)
    done = netshare("drain", "web", "shop-web-1", "--wait")
    assert (done.code, done.out.endswith(" s: 3 connections cut\n")) == (8, True)
    assert done.err.splitlines()[0] == "netshare: 3 connections of shop-web-1 cut at the deadline"
    again = netshare("drain", "web", "shop-web-1", "--wait", "-o", "json")
    assert (again.code, again.document["error"]["code"]) == (8, "timed_out")
    assert again.document["ended"]["cut"] == 3


def test_the_last_one_is_warned_of(netshare: Netshare) -> None:
    netshare("attach", "web", "80")
    for number in (1, 2):
        assert "warning" not in netshare("drain", "web", f"shop-web-{number}").err
    done = netshare("drain", "web", "shop-web-3", "-o", "json")
    warning = "no other replica of web takes connections: new ones are refused until one does"
    assert f"netshare: warning: {warning}" in done.err
    assert (done.code, done.document["warnings"]) == (0, [warning])


def test_status_shows_it(netshare: Netshare, fake: FakeHost) -> None:
    netshare("attach", "web", "80")
    opened(fake, 12)
    netshare("drain", "web", "shop-web-1")
    fake.drains.time += 9
    line = netshare("status").out.splitlines()[1]
    assert "draining" in line
    assert line.endswith("draining by hand: 12 connections left, 21 s to go")
    [service] = netshare("status", "-o", "json").document["services"]
    one, two, _ = service["replicas"]
    assert (one["state"], one["reason"]) == ("draining", "draining by hand: 12 connections left, 21 s to go")
    assert one["drain"] == {"cause": "hand", "seconds_left": 21.0, "cut": None}
    assert two["drain"] is None


def test_words_that_are_wrong(netshare: Netshare) -> None:
    netshare("attach", "web", "80")
    assert netshare("drain", "web", "shop-web-9").code == 3
    assert netshare("resume", "shop", "shop-web-1").code == 3
    assert netshare("drain", "web", "shop-web-1", "--timeout", "soon").code == 2
    assert netshare("attach", "web", "80", "--drain", "-1s").code == 2


def test_drains_that_cannot_be_read_are_told_of(netshare: Netshare, fake: FakeHost) -> None:
    netshare("attach", "web", "80")
    fake.drains.blindness = DefinitionError("the drains can't be used", hint="remove the file")
    for words in (("status",), ("status", "web"), ("drain", "web", "shop-web-1"), ("resume", "web", "shop-web-1")):
        done = netshare(*words)
        assert (done.code, "the drains can't be used" in done.err) == (9, True), words
    assert "shop-web-1" in netshare("status").out


def test_attach_says_how_long(netshare: Netshare, fake: FakeHost) -> None:
    netshare("attach", "web", "80", "--drain", "1.5s")
    assert fake.store.services["web"].drain == 1.5
    netshare("attach", "web", "443")
    assert fake.store.services["web"].drain == 1.5
    assert netshare("list", "-o", "json").document["services"][0]["drain"] == "1500ms"
    netshare("attach", "web", "80", "--drain", "none")
    reconcile(fake.host)
    assert netshare("drain", "web", "shop-web-1").out.endswith("0 connections left, no deadline\n")

"""What is fuzzed: each target takes hostile input and raises whatever netshare must never do.

Allowed are an answer and the `NetshareError` (or the module's own refusal) that belongs there, in words that fit a
line and are harmless to a terminal. Targets need no root and touch nothing but files of their own.
"""

import asyncio
import io
import json
import logging
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from netshare.agent.loop import Loop, Pace
from netshare.cli import documents, output
from netshare.core import checks, labels, parse
from netshare.core.model import Container, Endpoint, Family, Listener, Protocol, Service
from netshare.engine import docker_answers, docker_events, pod_answers, podman_answers, podman_events
from netshare.errors import DefinitionError, NetshareError, UsageError
from netshare.health import http
from netshare.health.board import HealthBoard
from netshare.netfilter import addresses, bridges, netlink, sockets, tracked
from netshare.netfilter.conntrack import count
from netshare.netfilter.forwarding import places
from netshare.netfilter.nftables import reading, userdata
from netshare.netfilter.nftables.chains import DEFAULT_MARK
from netshare.netfilter.surroundings import nf_tables, verdicts, xtables
from netshare.operations.status import status
from netshare.reconcile import reconcile
from netshare.runtime import agent
from netshare.store.directory import DefinitionStore
from netshare.store.drains import DrainStore
from tests.fakes.host import FakeHost, fake_host
from tests.fuzz import hostile, raw_http
from tests.fuzz.hostile import anything, bent, bent_json, damaged, long_words, words
from tests.fuzz.kernel import BentKernel, bent_dumps
from tests.unit.agent.test_loop import ScriptedInbox
from tests.unit.engine import docker_samples, podman_samples
from tests.unit.netfilter.conntrack_messages import flow
from tests.unit.netfilter.test_forwarding_places import DOCKER_20

_LONGEST_MESSAGE = 1500
_LONGEST_LINE = 4000


@dataclass(frozen=True, slots=True)
class Target:
    """Inputs, and what is done with each."""

    inputs: st.SearchStrategy[Any]
    check: Callable[[Any], None]


# --- What is said -----------------------------------------------------------------------------------------------------


def check_error(error: NetshareError, *, longest: int = _LONGEST_MESSAGE) -> None:
    """See that a refusal is one line of bounded length, and harmless as it is printed."""
    printed = io.StringIO()
    with redirect_stderr(printed):
        output.failure(error)
    check_printed(printed.getvalue())
    assert len(error.message) < longest, error.message


def check_printed(text: str) -> None:
    """See that nothing in there moves a cursor, changes a colour, turns text around or ends a line of its own."""
    for line in text.split("\n"):
        assert line.isprintable(), ascii(line)


def check_document(document: Mapping[str, object]) -> None:
    """See that a document is JSON in plain ASCII that says the same when read."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        output.document(dict(document))
    check_printed(printed.getvalue())
    assert printed.getvalue().isascii()
    json.loads(printed.getvalue())


class _Log(logging.Handler):
    """Checks each line of the log as it is written."""

    def emit(self, record: logging.LogRecord) -> None:
        """Check one."""
        said = record.getMessage()
        assert said.isprintable(), ascii(said)
        assert len(said) < _LONGEST_LINE, len(said)


@contextmanager
def checked_log() -> Iterator[None]:
    """Check whatever is logged by netshare."""
    log, handler = logging.getLogger("netshare"), _Log()
    before, log.level, log.propagate = (log.level, log.propagate), logging.DEBUG, False
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.level, log.propagate = before


# --- Words ------------------------------------------------------------------------------------------------------------

_PARSERS: tuple[Callable[[str], object], ...] = (
    parse.service_name,
    parse.port_number,
    parse.port_and_protocol,
    parse.listener,
    parse.listen_address,
    parse.client_address,
    parse.endpoint,
    parse.label_selector,
    parse.network_name,
    parse.weight,
    parse.replica_weight,
    parse.replica_name,
    parse.duration,
    parse.strategy,
    parse.driver,
    parse.engine,
    checks.health_check,
    checks.kind_of_check,
    checks.interval,
    checks.timeout,
    checks.in_a_row,
    checks.host,
    checks.fail_mode,
)
_NEARLY = st.sampled_from(
    (
        *("80", "53/udp", "10.0.0.1:80", "[fd00::1]:80/tcp", "10.0.0.7:8080", "web-1=3", "500ms", "24h"),
        *("http:8081/up interval=1s timeout=500ms rise=2 fall=3 host=shop.example", "tcp:5432", "app=web", "shop/web"),
    )
)


@st.composite
def _nearly(draw: st.DrawFn) -> str:
    return draw(damaged(draw(_NEARLY).encode())).decode("utf-8", "replace")


def check_words(word: str) -> None:
    """Hand a word to every parser."""
    for parser in _PARSERS:
        try:
            parser(word)
        except UsageError as error:
            check_error(error)


def check_labels(said: Mapping[str, str]) -> None:
    """Read a container's labels."""
    try:
        labels.read(said)
    except UsageError as error:
        check_error(error)
    labels.unknown(said)
    labels.service(said)


_labels = st.dictionaries(
    st.sampled_from(labels.KNOWN) | words.map(lambda word: f"netshare.{word}") | words,
    long_words | _nearly(),
    max_size=6,
)


# --- Engines ----------------------------------------------------------------------------------------------------------

_DOCKER = [
    docker_samples.docker_20(Labels={"netshare.service": "web", "netshare.port": "80"}),
    docker_samples.docker_20(Id="b" * 64, Names=["/web-2"], Labels={"netshare.service": "web"}),
]
_PODMAN = [podman_samples.listed(Labels={"netshare.service": "web", "netshare.port": "80", "netshare.to": "1"})]
_EVENT = {
    "Type": "container",
    "Action": "kill",
    "Actor": {"ID": "a" * 64, "Attributes": {"signal": "15", "container": "a" * 64}},
    "timeNano": docker_samples.AT,
}


def check_docker(answers: tuple[object, object, object]) -> None:
    """Make containers of Docker's answers, and a ruleset of these."""
    listing, networks, info = answers
    docker_answers.attached_network_ids(listing)
    known = docker_answers.networks(networks)
    rootless = docker_answers.is_rootless(info)
    _serve(docker_answers.containers(listing, known, rootless=rootless, leaving={"a" * 64}))
    for item in listing if isinstance(listing, list) else ():
        if isinstance(item, dict):
            pod_answers.member(item)


def check_podman(answers: tuple[object, object, object, object]) -> None:
    """Make containers of Podman's answers, and a ruleset of these."""
    listing, compatible, networks, inspection = answers
    facts = dict.fromkeys(podman_answers.ids(listing), podman_answers.facts(inspection))
    podman_answers.storage(inspection)
    podman_answers.system_time_ns(inspection)
    obstacles = podman_answers.obstacles(networks)
    _serve(podman_answers.containers(listing, compatible, obstacles, facts))


def _serve(containers: tuple[Container, ...]) -> None:
    """Serve them by their labels and by a definition, look at the outcome, and let the agent do the same."""
    fakes = fake_host(*containers)
    fakes.store.save(Service("api", (Listener(8080), Listener(53, Protocol.UDP))))
    with checked_log():
        once = reconcile(fakes.host)
        assert reconcile(fakes.host).change.is_empty
        Loop(fakes.host, ScriptedInbox([]), Pace()).run()
    check_printed(fakes.driver.render(once.change.after))
    _show(fakes)


def _show(fakes: FakeHost) -> None:
    found = status(fakes.host, fakes.agent, fakes.connections)
    check_document(documents.of_status(found))
    rows = [
        (item.service.name, each.replica.name, each.replica.state, each.replica.reason or "")
        for item in found.services
        for each in item.replicas
    ]
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        output.table(("SERVICE", "REPLICA", "STATE", "REASON"), rows)
        for said in (*found.obstacles, *found.notices):
            output.note(str(said))
    check_printed(printed.getvalue())
    assert all(len(line) < _LONGEST_LINE for line in printed.getvalue().splitlines())


def check_event(line: bytes) -> None:
    """Read one line of a stream of events, and ask for what comes after it."""
    raw = docker_events.read(line)
    if raw is None:
        return
    docker_events.since(raw.time_ns + 1)
    podman_events.since(raw.time_ns + 1)
    podman_events.hint(raw)
    event = docker_events.hint(raw, 15)
    for said in (raw.action, raw.id, event.action if event else ""):
        assert said.isprintable()
        assert len(said) < _LONGEST_LINE


# --- Files ------------------------------------------------------------------------------------------------------------

_DEFINITION = {
    "schema": 1,
    "name": "web",
    "listeners": [{"port": 80, "protocol": "tcp", "address": "10.0.0.1", "to": 8080}, {"port": 53, "protocol": "udp"}],
    "strategy": "round-robin",
    "select": {"app": "web"},
    "network": "shop",
    "engine": "docker",
    "weights": {"web-1": 3},
    "health": "http:/up interval=1s",
    "fail": "closed",
}
_DRAINS = {
    "schema": 1,
    "boot": "b",
    "drains": [
        {
            "service": "web",
            "replica": "a" * 64,
            "name": "web-1",
            "engine": "docker",
            "cause": "hand",
            "since": 1.5,
            "deadline": 9.0,
            "cut": 1,
        }
    ],
}
_BOARD = {
    "schema": 1,
    "as_of": 100.0,
    "verdicts": [
        {
            "service": "web",
            "replica": "a",
            "endpoint": "172.17.0.2:80",
            "check": "tcp",
            "standing": "healthy",
            "passed": 3,
            "failed": 0,
            "was_healthy": True,
            "since": 1.0,
            "reason": None,
        }
    ],
}


def check_definition(content: bytes) -> None:
    """Read a definition; one that is sound is written as one that means the same."""
    with _directory() as directory:
        (directory / "web.json").write_bytes(content)
        store = DefinitionStore(directory)
        found = store.load()
        for error in found.unreadable.values():
            check_error(error)
        for service in (*found.services, *found.adjusted):
            store.save(service)
            assert DefinitionStore(directory).get("web") == service


def check_file_name(name: bytes) -> None:
    """Find a file of any name among the definitions."""
    with _directory() as directory:
        with suppress(OSError, ValueError):
            Path(str(directory) + "/" + name.decode("utf-8", "surrogateescape") + ".json").write_bytes(b"{}")
        for error in DefinitionStore(directory).load().unreadable.values():
            check_error(error)


def check_drains(content: bytes) -> None:
    """Read the file of drains; it is not written over where it can't be read."""
    with _directory() as directory:
        path = directory / "drains.json"
        path.write_bytes(content)
        store = DrainStore(path, lambda: "b", lambda: 5.0)
        try:
            found = store.load()
            store.save(found)
        except DefinitionError as error:
            check_error(error)
            assert path.read_bytes() == content
        else:
            assert list(store.load()) == list(found)


def check_board(content: bytes) -> None:
    """Read what the agent put up of the replicas' health, and what was noted of bridges."""
    with _directory() as directory:
        (directory / "health.json").write_bytes(content)
        for renewed in (True, False):
            HealthBoard(directory / "health.json", lambda: 100.0).read(renewed=renewed)


def check_bridges(content: bytes) -> None:
    """Read what was noted of bridges: no other path than that of an interface's switch may come of it."""
    with _directory() as directory:
        (directory / "bridges.json").write_bytes(content)
        links = bridges.HostLinks(directory)
        for switch in links._noted():  # noqa: SLF001 (to serve them would write to /proc)
            assert "/" not in switch.interface
            assert switch.interface not in ("", ".", "..")


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="netshare-fuzz-") as directory:
        yield Path(directory)


# --- Sockets ----------------------------------------------------------------------------------------------------------


def check_answer(answer: bytes) -> None:
    """Take an answer of the agent's control socket."""
    try:
        agent.raise_what_was_met(answer, Path("/run/netshare/agent.sock"))
    except NetshareError as error:
        check_error(error, longest=max(_LONGEST_MESSAGE, 10 * len(answer)))


def check_probe(answer: bytes) -> None:
    """Read a replica's answer to a probe."""

    async def ask() -> None:
        one, other = socket.socketpair()
        with one, other:
            one.setblocking(False)  # noqa: FBT003 (the socket's own)
            other.sendall(answer[: 1 << 16])
            other.shutdown(socket.SHUT_WR)
            said = ""
            try:
                assert 100 <= await http.read_status(one) < 600
            except http.UnwellError as error:
                said = str(error)
            assert said.isprintable()

    asyncio.run(ask())


# --- The kernel -------------------------------------------------------------------------------------------------------


def check_netlink(data: bytes) -> None:
    """Take a datagram apart, and whatever is in it."""
    for _, flags, _, payload in netlink.messages(data):
        netlink.explanation(payload, flags)
        userdata.read_comment(payload)
    sockets.parse(data)
    addresses.parse(memoryview(data))


def check_conntrack(dump: list[bytes]) -> None:
    """Read a dump of tracked flows."""
    views = [memoryview(message) for message in dump]
    assert sum(count(views, DEFAULT_MARK).values()) <= len(dump)
    for view in views:
        if tracked.ends(view) is not None:
            tracked.identity(view)


def check_table(kernel: BentKernel) -> None:
    """Read netshare's table as another hand left it: what does not fit is seen, and can be built anew."""
    observation = reading.observe(kernel, DEFAULT_MARK)
    for dispatch in observation.ruleset.dispatches.values():
        assert len(dispatch.slots) < 1 << 20
    fakes = fake_host()
    fakes.store.save(Service("web", (Listener(80),)))
    reconcile(fakes.host)


def check_foreign_rules(rules: list[tuple[int, bytes]]) -> None:
    """Work off the rules of another firewall, whose chains lead to one another."""
    made: dict[str, list[nf_tables.Rule]] = {}
    for chain, packed in rules:
        found = tuple(nf_tables.expressions(memoryview(packed)))
        made.setdefault(str(chain), []).append(nf_tables.Rule(str(chain), 1, "", found))
    one = nf_tables.Chain(nf_tables.Scope.INET, "firewall", "0", 1, 1, 2, drops=True)
    for family in Family:
        for packet_mark in (0, DEFAULT_MARK):
            verdicts.refusal(one, lambda name: made.get(name, []), family, DEFAULT_MARK, packet_mark=packet_mark)


def check_iptables(listing: str) -> None:
    """Read a listing of iptables, and find netshare's place in it."""
    variant = xtables.Variant(Family.IP, is_legacy=False)
    table = xtables.parse(variant, listing.splitlines())
    for needed in (True, False):
        places.rewrite(table, places.rule(DEFAULT_MARK), needed=needed)


def _flows() -> st.SearchStrategy[list[bytes]]:
    samples = [
        bytes(flow(Endpoint(ip_address(address), 8080), protocol, is_shaped_otherwise=other))
        for address in ("172.17.0.2", "fd00:17::2")
        for protocol in Protocol
        for other in (True, False)
    ]
    return st.lists(st.sampled_from(samples).flatmap(damaged) | hostile.attributes(), max_size=4)


TARGETS: Mapping[str, Target] = {
    "words": Target(long_words | _nearly(), check_words),
    "labels": Target(_labels, check_labels),
    "docker": Target(
        st.tuples(bent(_DOCKER) | anything, bent(docker_samples.NETWORKS) | anything, anything), check_docker
    ),
    "podman": Target(
        st.tuples(
            bent(_PODMAN) | anything,
            bent([podman_samples.compatible()]) | anything,
            bent([{"name": "podman", "driver": "bridge", "internal": False}]) | anything,
            bent(podman_samples.inspected("bridge", "8080/tcp", declared=True)) | anything,
        ),
        check_podman,
    ),
    "events": Target(bent_json(_EVENT) | st.binary(), check_event),
    "engine HTTP": Target(raw_http.answers, raw_http.check_engine),
    "definitions": Target(bent_json(_DEFINITION) | st.binary(), check_definition),
    "file names": Target(st.binary(max_size=100) | words.map(lambda w: w.encode("utf-8", "ignore")), check_file_name),
    "drains": Target(bent_json(_DRAINS) | st.binary(), check_drains),
    "health board": Target(bent_json(_BOARD) | st.binary(), check_board),
    "bridges": Target(bent_json([["route_localnet", "br0"], ["hairpin_mode", "veth1"]]), check_bridges),
    "control answers": Target(
        bent_json({"code": "kernel_refused", "message": "m", "hint": "h"}) | st.binary(), check_answer
    ),
    "probe answers": Target(damaged(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") | st.binary(), check_probe),
    "netlink": Target(hostile.messages() | st.binary(), check_netlink),
    "conntrack": Target(_flows(), check_conntrack),
    "table": Target(bent_dumps(), check_table),
    "foreign rules": Target(
        st.lists(st.tuples(st.integers(0, 5), hostile.expressions()), max_size=12), check_foreign_rules
    ),
    "iptables": Target(
        damaged(DOCKER_20.encode()).map(partial(str, encoding="utf-8", errors="replace")), check_iptables
    ),
}
"""By name; what each is for says its function."""

"""More that is fuzzed: files that people write, what other programs print, and whoever connects to a socket."""

import re
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge

from netshare.agent.inbox import Inbox
from netshare.agent.server import ControlServer
from netshare.agent.telling import Telling
from netshare.core.model import Endpoint, Family
from netshare.errors import DefinitionError, NetshareError
from netshare.metrics.serving import MetricsServer
from netshare.netfilter.iptables import reading
from netshare.netfilter.iptables.saved import Reader
from netshare.netfilter.iptables.tables import tables
from netshare.netfilter.made_by import newer
from netshare.netfilter.nftables.chains import DEFAULT_MARK
from netshare.runtime.agent import socket_path
from netshare.runtime.names import Names
from netshare.store import services_file
from netshare.store.rollouts import RolloutStore
from netshare.systemd import unit
from tests.fuzz.hostile import bent_json, damaged, long_words, words
from tests.fuzz.targets import Target, check_error, check_printed

_EARLIER = Path(__file__).parents[1] / "netns/earlier"
_SERVICES = b"""\
schema: 1
services:
- name: web
  listeners:
  - {port: 80, to: 8080}
  - {port: 53, protocol: udp, address: 10.0.0.1}
  strategy: source-hash
  health: http:/up interval=1s
  weights: {web-1: 3}
- name: db
  listeners: [{port: 5432}]
  endpoints: ["10.0.3.7", "10.0.3.8:5433"]
"""
_ROLLOUT = {
    "schema": 1,
    "service": "web",
    "maker": "container",
    "image": "my/web:2",
    "direction": "forward",
    "options": {"batch": 1, "surge": 1, "timeout": 120.0, "drain": "30s", "canary": 10, "pause": "1m"},
    "pairs": [
        {
            "old": {"id": "a", "name": "web-1", "engine": "docker"},
            "new": {"id": "b", "name": "web-4", "engine": "docker"},
            "stage": "made",
            "weight": 3,
        }
    ],
}
_NAMES = {"schema": 1, "services": {"web": ["web-1", "web-2"], "api": []}}
_REQUEST = b"GET /metrics?name[]=netshare_truth HTTP/1.1\r\nHost: localhost:9440\r\nAccept: text/plain\r\n\r\n"


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="netshare-fuzz-") as directory:
        yield Path(directory)


def check_services_file(content: bytes) -> None:
    """Read services as `apply` does; what is sound reads the same when it is written again."""
    try:
        found = services_file.decode(content, "services.yaml")
    except DefinitionError as error:
        check_error(error)
    else:
        assert services_file.decode(services_file.encode(found), "again") == found


def check_rollout(content: bytes) -> None:
    """Read the record of a rollout; one that can't be used is neither written over nor deleted."""
    with _directory() as directory:
        path = directory / "web.json"
        path.write_bytes(content)
        store = RolloutStore(directory)
        found = store.load()
        for error in found.unreadable.values():
            check_error(error)
        for rollout in found.known.values():
            store.save(rollout)
            assert RolloutStore(directory).get("web") == rollout
        if found.unreadable:
            with suppress(DefinitionError):
                store.delete("web")
            assert path.read_bytes() == content


def check_names(content: bytes) -> None:
    """Read the names that shells complete, and put others in their place."""
    with _directory() as directory:
        path = directory / "names.json"
        path.write_bytes(content)
        names = Names(path)
        for service, them in names.read().items():
            assert isinstance(service, str)
            assert all(isinstance(each, str) for each in them)
        names.post({"web": ["web-1"]}, {"web", "api"})
        assert "web" in Names(path).read()


def check_saved_tables(text: str) -> None:
    """Read what iptables-save prints; what does not fit is seen, as the ruleset is written otherwise."""
    for family in Family:
        saved = Reader().read(text)
        found = reading.ruleset(saved.tables, family)
        tables(found, family, DEFAULT_MARK)
        newer((word for table in saved.tables.values() for _, rule in table.hooks for word in rule), 1)


def check_question(said: bytes) -> None:
    """Ask the agent's socket anything: it goes on answering, and nothing but `sync` reaches the loop."""
    with _directory() as directory:
        inbox = Inbox()
        server = ControlServer(directory, inbox, Telling())
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(socket_path(directory)))
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            if said[:64].decode("ascii", "replace").split() != ["sync"]:
                connection.recv(100)
                assert inbox.take(0) == []
        server.close()
        thread.join(5)
        assert not thread.is_alive()


def check_request(said: bytes) -> None:
    """Ask for metrics in any way: whoever asks properly is answered afterwards."""
    answer = b""
    with _metrics() as port:
        for request in (said, _REQUEST):
            answer = b""
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                while received := connection.recv(65536):
                    answer += received
        assert b"netshare_truth 42" in answer


@contextmanager
def _metrics() -> Iterator[int]:
    registry = CollectorRegistry()
    Gauge("netshare_truth", "What is so.", registry=registry).set(42)
    server = MetricsServer(Endpoint(ip_address("127.0.0.1"), 0), registry)
    thread = threading.Thread(target=server._server.serve_forever, args=(0.01,))  # noqa: SLF001 (half a second each else)
    thread.start()
    try:
        yield server.port
    finally:
        server.close()
        thread.join(5)


def check_unit(environment: Mapping[str, str]) -> None:
    """Write the agent's unit from any environment: no setting comes of it but the one that is meant."""
    program = unit.Program(("/usr/bin/python3", environment.get("argument", "-P")), (Path("/usr"),))
    try:
        text = unit.render(program, environment)
    except NetshareError as error:
        check_error(error)
        return
    plain = unit.render(unit.Program(("/usr/bin/python3", "-P"), (Path("/usr"),)), {})
    settings = [line.partition("=")[0] for line in text.splitlines() if not line.startswith("Environment=")]
    wanted = [line.partition("=")[0] for line in plain.splitlines()]
    joined = [word.replace("@ENVIRONMENT@", "") for word in wanted]
    assert settings == joined, settings
    check_printed(text)


def _saved() -> st.SearchStrategy[str]:
    plain = [path.read_bytes() for path in sorted(_EARLIER.glob("*/ip*.save"))]
    samples = [re.sub(rb"^-A", b"[1:60] -A", text, flags=re.MULTILINE) for text in plain]
    assert samples
    return st.sampled_from(samples).flatmap(damaged).map(lambda data: data.decode("utf-8", "replace"))


_environments: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from((*unit.PASSED_ON, "argument")), long_words, max_size=4
)

TARGETS: Mapping[str, Target] = {
    "services file": Target(
        damaged(_SERVICES) | bent_json({"schema": 1, "services": [{"name": "web", "listeners": [{"port": 80}]}]}),
        check_services_file,
    ),
    "rollouts": Target(bent_json(_ROLLOUT) | st.binary(), check_rollout),
    "names": Target(bent_json(_NAMES) | st.binary(), check_names),
    "iptables-save": Target(_saved() | words, check_saved_tables),
    "control questions": Target(damaged(b"events 10 follow\n") | damaged(b"sync\n") | st.binary(), check_question),
    "metrics requests": Target(damaged(_REQUEST) | st.binary(), check_request),
    "unit": Target(_environments, check_unit),
}
"""By name; what each is for says its function."""

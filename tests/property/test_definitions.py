"""A definition is read as it was written; of anything else no more comes than an error that says so."""

import json
import math
from dataclasses import replace
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from netshare.core.model import (
    CheckKind,
    FailMode,
    HealthCheck,
    Listener,
    Protocol,
    Service,
    Source,
    StaticEndpoint,
    Strategy,
)
from netshare.errors import DefinitionError
from netshare.store import services_file
from netshare.store.newer import NewerSchemaError
from netshare.store.schema import InvalidDefinitionError, decode, encode
from tests.property.strategies import probed_checks

names = st.from_regex(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,62}/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", fullmatch=True)
ports = st.integers(1, 65535)
addresses = st.sampled_from([ip_address(word) for word in ("10.0.0.1", "10.0.0.2", "fd00::1", "2001:db8::2")])
labels = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20).filter(lambda t: "=" not in t)
listeners = st.lists(
    st.builds(Listener, ports, st.sampled_from(Protocol), st.none() | addresses, st.none() | ports),
    min_size=1,
    max_size=4,
    unique_by=lambda listener: (listener.port, listener.protocol, listener.address),
).map(tuple)
networks = st.none() | st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True)

weights = st.dictionaries(
    st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20), st.integers(0, 256), max_size=3
).map(lambda found: tuple(sorted(found.items())))

# With a port of its own: without, a definition needs a listener for TCP.
checks = st.builds(HealthCheck, st.sampled_from([CheckKind.NONE, CheckKind.ENGINE])) | probed_checks().map(
    lambda check: replace(check, port=check.port or 8080)
)
drains = st.none() | st.just(math.inf) | st.integers(0, 86_400_000).map(lambda milliseconds: milliseconds / 1000)
by_engine = st.builds(
    Service,
    names,
    listeners,
    st.sampled_from(Strategy),
    select=st.dictionaries(labels, labels, max_size=3).map(lambda found: tuple(found.items())),
    network=networks,
    engine=st.sampled_from([None, "docker"]),
    driver=st.sampled_from(["auto", "nftables"]),
    weights=weights,
    health=checks,
    fail=st.sampled_from(FailMode),
    drain=drains,
)
static = st.builds(
    Service,
    names,
    listeners,
    endpoints=st.lists(st.builds(StaticEndpoint, addresses, st.none() | ports), min_size=1, max_size=4).map(tuple),
    weights=weights,
)
adjusted = st.builds(Service, names, st.just(()), source=st.just(Source.LABELS), weights=weights)

json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "name",
    "listeners",
    "strategy",
    "select",
    "network",
    "engine",
    "endpoints",
    "driver",
    "source",
    "weights",
    "health",
    "fail",
    "drain",
    "schema",
)
mangled = st.builds(
    lambda service, changes: json.dumps(json.loads(encode(service)) | changes).encode(),
    by_engine | static,
    st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=3),
)


@given(by_engine | static | adjusted)
def test_a_definition_is_read_as_it_was_written(service: Service) -> None:
    assert decode(encode(service)) == service


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()) | mangled)
def test_anything_else_is_refused_in_a_line(content: bytes) -> None:
    try:
        service = decode(content)
    except (InvalidDefinitionError, NewerSchemaError) as error:
        said = str(error)
    else:
        said = ""
        assert decode(encode(service)) == service
    assert "\n" not in said


def _as_attached(service: Service) -> Service:
    return replace(service, select=tuple(sorted(service.select)))


@given(st.lists(by_engine | static | adjusted, max_size=3, unique_by=lambda service: service.name))
def test_an_exported_file_says_what_was_there(services: list[Service]) -> None:
    taken: set[str] = set()
    for service in list(services):
        if taken & (own := set(map(str, service.listeners))):
            services.remove(service)
        taken |= own
    assert services_file.decode(services_file.encode(services), "it") == tuple(map(_as_attached, services))


@given(
    st.binary(max_size=200)
    | st.text(st.sampled_from("ab:-[]{},&*!|>'\"#%@`?~ \n\t1\0\ufeff\x85"), max_size=60).map(str.encode)
    | json_values.map(lambda value: json.dumps(value).encode())
    | mangled.map(lambda one: b'{"schema": 1, "services": [' + one + b"]}")
)
def test_any_other_file_is_refused_in_a_line(content: bytes) -> None:
    try:
        services = services_file.decode(content, "it")
    except DefinitionError as error:
        said = error.message
    else:
        said = ""
        assert services_file.decode(services_file.encode(services), "it") == services
    assert "\n" not in said

"""What is remembered to be quick is forgotten when it is over: containers come and go for months."""

import gc
import tracemalloc
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from netshare.core.model import Listener, Service, StaticEndpoint
from netshare.core.plan import ServiceReplicas, plan
from netshare.core.selection import replicas
from tests.fakes.engine import container

FIRST = IPv4Address("172.17.0.0")
WEB = Service("web", (Listener(80), Listener(443)))


def with_other_containers(number: int) -> None:
    running = [container(f"web-{n}", str(FIRST + n)) for n in range(number, number + 10)]
    plan([ServiceReplicas(WEB, replicas(WEB, running))])


def with_another_name(number: int) -> None:
    service = Service(f"web-{number}", (Listener(80),))
    plan([ServiceReplicas(service, replicas(service, [container(f"web-{number}-1", "172.17.0.2")]))])


def with_other_endpoints(number: int) -> None:
    endpoints = tuple(StaticEndpoint(FIRST + number + n) for n in range(10))
    replicas(Service("vm", (Listener(80),), endpoints=endpoints), ())


@pytest.mark.parametrize("change", [with_other_containers, with_another_name, with_other_endpoints])
def test_memory_does_not_grow_with_what_was_there_once(change: Callable[[int], None]) -> None:
    for number in range(600):  # more than the patterns that `re` remembers
        change(number)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(600, 1000):
            change(number)
        gc.collect()
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # What is remembered within bounds is replaced meanwhile, and only the new is counted: 200 kB where every memory is
    # full already, as in a run of all tests. To remember every change took 1.6 kB each, 640 kB.
    assert grown < 400_000, f"{grown} bytes more after 400 changes"

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import NoReturn

import pytest

from netshare.core.model import Endpoint, Listener, StaticEndpoint
from netshare.errors import NotPermittedError
from netshare.lab.conversation import FailureKind
from netshare.lab.traffic import Failure, Traffic
from netshare.operations import demo as operation
from netshare.operations.demo import Adapters, demo
from netshare.operations.demo_steps import Alone, Held, Place, Removed, Replaced, Served, Share, Spread
from netshare.operations.request import AttachRequest
from tests.fakes.driver import FakeClock

CLIENT = IPv4Address("198.18.0.2")
ONE, TWO, THREE = (Place(f"replica-{n}", Endpoint(ip_address(f"172.30.0.1{n}"), 8080)) for n in (1, 2, 3))


def traffic(answers: Mapping[str, int], *failures: FailureKind, client: IPv4Address = CLIENT) -> Traffic:
    failed = tuple(Failure(0.1, kind) for kind in failures)
    return Traffic(answers, frozenset({client}) if answers else frozenset(), failed, 1.0, 0.01, 0.02)


SPREAD = Spread(Endpoint(IPv4Address("198.18.0.1"), 80), CLIENT, (ONE, TWO), traffic({"replica-1": 5, "replica-2": 7}))
REPLACED = Replaced(
    ONE,
    THREE,
    0.02,
    (Share(ONE, 3, 0, 0), Share(TWO, 2, 5, 4), Share(THREE, 0, 0, 6)),
    traffic({"replica-1": 3, "replica-2": 11, "replica-3": 6}),
)


class TestWhatIsAsPromised:
    def test_needs_no_words(self) -> None:
        request = AttachRequest("web", 80, endpoints=(StaticEndpoint(ONE.endpoint.address, 8080),))
        steps = (
            Served(request, 0.01, (Listener(80),), 1),
            SPREAD,
            REPLACED,
            Held("table inet netshare {}"),
            Alone(0, traffic({"replica-2": 9})),
            Removed(2.0, 0),
        )
        assert [list(step.problems()) for step in steps] == [[]] * 6

    def test_is_summed_up(self) -> None:
        assert SPREAD.kept_address
        assert (REPLACED.late, REPLACED.since_left, REPLACED.since_came) == (0, 15, 10)
        assert REPLACED.rate == 20.0
        assert replace(REPLACED, traffic=replace(traffic({}), seconds=0.0)).rate == 0.0


class TestWhatIsNot:
    def test_a_replica_that_is_not_ready(self) -> None:
        request = AttachRequest("web", 80, endpoints=(StaticEndpoint(ONE.endpoint.address, 8080),))
        assert list(Served(request, 0.01, (Listener(80),), 0).problems()) == ["0 of 1 replicas were ready after attach"]

    def test_requests_that_fail_in_any_step(self) -> None:
        some = traffic({"replica-1": 1, "replica-2": 1}, FailureKind.RESET, FailureKind.TIMEOUT, FailureKind.RESET)
        said = "3 of 5 requests failed (2 reset, 1 timeout)"
        for step in (replace(SPREAD, traffic=some), replace(REPLACED, traffic=some), Alone(0, some)):
            assert list(step.problems()) == [said]

    def test_a_replica_without_requests(self) -> None:
        step = replace(SPREAD, traffic=traffic({"replica-1": 12}))
        assert list(step.problems()) == ["replica-2 was given no request"]

    def test_an_address_that_is_not_the_clients(self) -> None:
        proxied = traffic({"replica-1": 1, "replica-2": 1}, client=IPv4Address("172.30.0.1"))
        step = replace(SPREAD, traffic=proxied)
        assert not step.kept_address
        assert list(step.problems()) == ["the replicas saw 172.30.0.1 and not the client"]

    @pytest.mark.parametrize(
        ("shares", "said"),
        [
            ((Share(ONE, 3, 1, 1), Share(THREE, 0, 0, 6)), "replica-1 was given 2 new connections after it had left"),
            ((Share(ONE, 0, 0, 0), Share(THREE, 0, 0, 6)), "replica-1 was given no connection before it left"),
            ((Share(ONE, 3, 0, 0), Share(THREE, 0, 0, 0)), "replica-3 was given no connection after it came"),
        ],
    )
    def test_connections_where_none_belong_or_none_where_some_do(self, shares: tuple[Share, ...], said: str) -> None:
        assert list(replace(REPLACED, shares=shares).problems()) == [said]

    def test_an_empty_kernel_and_anything_left_behind(self) -> None:
        assert list(Held("").problems()) == ["netshare holds nothing in the kernel"]
        left = Alone(2, traffic({"replica-2": 9}))
        assert list(left.problems()) == ["2 threads of netshare were left in the host"]
        assert list(Removed(2.0, 1).problems()) == ["1 network namespaces of the lab were left"]


def test_where_the_host_forbids_it_nothing_is_begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def forbid() -> NoReturn:
        raise NotPermittedError("not on this host", hint="run it with sudo")

    def adapters(_: Path) -> Adapters:
        pytest.fail("adapters were made")

    monkeypatch.setattr(operation, "gain_privileges", forbid)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(NotPermittedError, match="not on this host"):
        next(demo(adapters, FakeClock()))
    assert list(tmp_path.iterdir()) == []

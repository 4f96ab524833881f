from ipaddress import IPv4Address, IPv6Address

import pytest

from netshare.core.model import Endpoint, IPAddress
from netshare.lab.conversation import Answer, ClosedError, FailureKind, failure_kind
from netshare.lab.traffic import Request, summarize

HERE, THERE = IPv4Address("198.18.0.2"), IPv6Address("2001:db8::2")


def answered(began: float, ended: float, replica: str, client: IPAddress = HERE) -> Request:
    return Request(began, ended, Answer(replica, Endpoint(client, 40000)))


def test_answers_are_counted_by_replica_and_clients_gathered() -> None:
    requests = [answered(1, 2, "a"), answered(1, 3, "b", THERE), answered(2, 4, "a")]
    traffic = summarize(requests, began=1)
    assert traffic.answers == {"a": 2, "b": 1}
    assert traffic.clients == {HERE, THERE}
    assert (traffic.requests, traffic.failures) == (3, ())
    assert (traffic.seconds, traffic.slowest) == (3, 2)


def test_the_gap_is_the_longest_time_without_an_answer_whatever_failed_meanwhile() -> None:
    requests = [
        Request(11, 14, FailureKind.TIMEOUT),
        answered(10, 11, "a"),
        answered(15, 16, "a"),
        Request(11, 12, FailureKind.REFUSED),
        Request(13, 14, FailureKind.TIMEOUT),
    ]
    traffic = summarize(requests, began=10)
    assert traffic.longest_gap == 5
    assert [failure.at for failure in traffic.failures] == [2, 4, 4]
    assert traffic.failures_by_kind == {FailureKind.REFUSED: 1, FailureKind.TIMEOUT: 2}


def test_the_gap_reaches_to_the_end_when_answers_never_come_again() -> None:
    assert summarize([answered(0, 1, "a"), Request(1, 9, FailureKind.TIMEOUT)], began=0).longest_gap == 8


def test_nothing_sent_is_nothing() -> None:
    traffic = summarize([], began=5)
    assert (traffic.requests, traffic.seconds, traffic.longest_gap, traffic.slowest) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError(111, "refused"), FailureKind.REFUSED),
        (PermissionError(1, "rejected on its way out"), FailureKind.REFUSED),
        (ConnectionResetError(104, "reset"), FailureKind.RESET),
        (BrokenPipeError(32, "pipe"), FailureKind.RESET),
        (ClosedError("closed"), FailureKind.CLOSED),
        (TimeoutError("timed out"), FailureKind.TIMEOUT),
        (OSError(110, "ETIMEDOUT"), FailureKind.TIMEOUT),
        (OSError(113, "no route"), FailureKind.UNREACHABLE),
        (OSError(101, "no network"), FailureKind.UNREACHABLE),
        (OSError(99, "no free port"), None),
        (PermissionError(13, "denied"), None),
    ],
)
def test_what_networks_cause_is_a_failure_and_all_else_a_mistake(error: OSError, kind: FailureKind | None) -> None:
    assert failure_kind(error) is kind

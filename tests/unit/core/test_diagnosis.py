"""Each check in both states: a host that fails it, and one that passes."""

import pytest

from netshare.core import diagnosis
from netshare.core.diagnosis import Check, Verdict
from netshare.core.model import Family, Replica, ReplicaState
from netshare.core.obstacle import Obstacle


def replica(name: str, state: ReplicaState = ReplicaState.READY, reason: str | None = None) -> Replica:
    return Replica(name, name, "docker", state, {}, reason=reason)


PAUSED = replica("web-2", ReplicaState.UNHEALTHY, "the container is paused")


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (diagnosis.conntrack(10, 1000), Verdict.OK),
        (diagnosis.conntrack(0, 0), Verdict.OK),
        (diagnosis.conntrack(850, 1000), Verdict.WARNING),
        (diagnosis.conntrack(960, 1000), Verdict.FAILED),
        (diagnosis.rp_filter([], 2), Verdict.OK),
        (diagnosis.rp_filter(["eth0"], 1), Verdict.OK),
        (diagnosis.rp_filter(["eth0", "eth1"], 2), Verdict.WARNING),
        (diagnosis.agent(42, is_needed=True), Verdict.OK),
        (diagnosis.agent(42, "0.0.9", is_needed=True), Verdict.WARNING),
        (diagnosis.agent(None, is_needed=False), Verdict.OK),
        (diagnosis.agent(None, is_needed=True), Verdict.WARNING),
        (diagnosis.service("web", [replica("web-1")]), Verdict.OK),
        (diagnosis.service("web", [replica("web-1"), PAUSED]), Verdict.WARNING),
        (diagnosis.service("web", [PAUSED]), Verdict.FAILED),
        (diagnosis.service("web", []), Verdict.FAILED),
    ],
)
def test_verdicts_and_mends(check: Check, verdict: Verdict) -> None:
    assert check.verdict is verdict
    assert (check.mend is None) == (verdict is Verdict.OK), "what is not well has a mend, and only that"


def test_replicas_with_one_reason_are_named_together() -> None:
    late = [replica(f"web-{number}", ReplicaState.STARTING, "the container is created") for number in (1, 2)]
    assert diagnosis.service("web", [*late, PAUSED]).seen == (
        "web-1, web-2 starting: the container is created; web-2 unhealthy: the container is paused"
    )


def test_a_kernel_that_refuses_something_is_told_of_by_feature() -> None:
    (check,) = diagnosis.kernel({"source-hash (IPv6)": "no such thing"}, ["random", "source-hash (IPv6)"])
    assert (check.verdict, check.seen) == (Verdict.FAILED, "source-hash (IPv6): no such thing")
    (well,) = diagnosis.kernel({}, ["random"])
    assert well.verdict is Verdict.OK


def test_firewalls() -> None:
    drops = Obstacle(Family.IP, "inet admin forward", "it drops", "add a rule")
    may = Obstacle(Family.IP, "DOCKER-USER", "it may drop", "narrow it", certain=False)
    assert [check.verdict for check in diagnosis.firewalls([], [drops, may, drops])] == [
        Verdict.FAILED,
        Verdict.WARNING,
    ]
    (well,) = diagnosis.firewalls(["iptables-nft (Docker; FORWARD policy DROP)"], [])
    assert well.verdict is Verdict.OK
    assert well.seen.endswith("(iptables-nft (Docker; FORWARD policy DROP))")

"""What is large and not wrong is read within bounds: many containers, and labels of many megabytes."""

import tracemalloc

import pytest

from netshare.core import labels
from netshare.errors import UsageError
from netshare.reconcile import reconcile
from tests.fakes.host import fake_host
from tests.fuzz.targets import check_error, check_printed, checked_log
from tests.unit.engine import docker_samples
from tests.unit.engine.docker_samples import endpoint

MANY, LONG = 10_000, 10 << 20
KNOWN = docker_samples.NETWORKS


def listing(**said: str) -> list[dict[str, object]]:
    return [
        docker_samples.docker_20(
            Id=f"{number:064x}",
            Names=[f"/web-{number}"],
            Labels={"netshare.service": "web", "netshare.port": "80", **said},
            NetworkSettings={"Networks": {"bridge": endpoint(address=f"172.17.{number // 250}.{number % 250 + 2}")}},
        )
        for number in range(MANY)
    ]


def test_ten_thousand_containers_that_ask_for_one_port() -> None:
    from netshare.engine import docker_answers  # noqa: PLC0415 (beside what it is for)

    known = docker_answers.networks(KNOWN)
    found = docker_answers.containers(listing(), known, rootless=False, leaving=set())
    assert len(found) == MANY
    fakes = fake_host(*found)
    with checked_log():
        prepared = reconcile(fakes.host)
    slots = [len(dispatch.slots) for dispatch in prepared.change.after.dispatches.values()]
    assert max(slots, default=0) <= MANY
    for notice in prepared.notices:
        check_printed(notice.reason)
    assert reconcile(fakes.host).change.is_empty


@pytest.mark.parametrize("label", [each for each in labels.KNOWN if not each.startswith("netshare.pod")])
def test_ten_megabytes_of_a_label(label: str) -> None:
    said = {labels.SERVICE: "web", label: "8," * (LONG // 2)}
    tracemalloc.start()
    try:
        with pytest.raises(UsageError) as refused:
            labels.read(said)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    check_error(refused.value)
    assert peak < 3 * LONG, f"{peak} bytes"

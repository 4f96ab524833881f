"""What the verbs do, as somebody outside sees it."""

import pytest

from tests.vm.machines import CLIENT, WEB, Pair, eventually

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(900)]

REPLICAS = {"web-1", "web-2", "web-3"}
RUN = "docker run --detach --name {0} --hostname {0} hello"


def test_a_replica_more_and_a_replica_less(fresh: Pair, told: list[str]) -> None:
    fresh.host.shell(RUN.format("web-4"))
    eventually(lambda: fresh.count(60).answering() == REPLICAS | {"web-4"})
    with fresh.load(per_second=20) as load:
        fresh.host.must("docker", "stop", "--time", "20", "web-1")
    told.append(f"{sum(load.answers.values())} requests answered meanwhile, and these were not: {load.failures}")
    assert load.all_answered
    assert fresh.count(60).answering() == REPLICAS - {"web-1"} | {"web-4"}
    fresh.host.must("docker", "start", "web-1")
    eventually(lambda: "web-1" in fresh.count(60).answering())


def test_detached_it_refuses_and_attached_it_answers(fresh: Pair) -> None:
    fresh.netshare("detach", "web")
    assert fresh.count(3).failures == {"ConnectionRefusedError": 3}
    fresh.netshare("attach", "web", "80")
    assert fresh.count().answering() == REPLICAS
    assert fresh.count(6, f"{WEB}cgi-bin/client").answers == {CLIENT: 6}


def test_it_survives_a_restart_of_docker(fresh: Pair) -> None:
    fresh.host.must("systemctl", "restart", "docker")
    eventually(lambda: fresh.count().answers.keys() == REPLICAS)
    assert fresh.count().answering() == REPLICAS

"""firewalld as the distribution ships it, switched on beside Docker, and reloaded."""

import pytest

from tests.vm.machines import HOST, Pair, eventually

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(900)]

REPLICAS = {"web-1", "web-2", "web-3"}
PORT = 8000
ELSEWHERE = f"http://{HOST}:{PORT}/"


def test_it_denies_what_comes_in_and_the_service_is_reached_all_the_same(fresh: Pair, told: list[str]) -> None:
    host = fresh.host
    host.shell(f"systemd-run --quiet --unit=elsewhere --working-directory=/srv python3 -m http.server {PORT}")
    eventually(lambda: fresh.count(1, ELSEWHERE).all_answered)
    host.must("systemctl", "start", "firewalld")
    eventually(lambda: host.run("firewall-cmd", "--state").code == 0)  # for systemd it has started before it has rules
    denied = fresh.count(3, ELSEWHERE)
    told.append(f"a port of the host's own, with {host.must('firewall-cmd', '--version')}: {denied.failures}")
    assert not denied.answers
    eventually(lambda: fresh.count().answers.keys() == REPLICAS)
    assert fresh.count().answering() == REPLICAS
    host.must("firewall-cmd", "--reload")
    eventually(lambda: fresh.count().answers.keys() == REPLICAS)
    assert fresh.count().answering() == REPLICAS
    assert host.must("firewall-cmd", "--state") == "running"

    # The control: what lets the client in is netshare's alone.
    host.shell("systemctl stop netshare; netshare reset --yes")
    shut_out = fresh.count(3)
    told.append(f"with firewalld, without netshare's rules: {shut_out.failures}")
    assert not shut_out.answers
    host.must("systemctl", "start", "netshare")
    assert fresh.count().answering() == REPLICAS

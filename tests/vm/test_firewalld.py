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

    # The controls. Nothing but netshare's rule lets a client through to Docker's networks ...
    host.must("systemctl", "stop", "netshare")
    assert fresh.count(6).all_answered  # nobody has to be there for traffic
    rules = fresh.close_way_in()
    shut_out = fresh.count(3)
    told.append(f"with firewalld, without {' and '.join(rules)}: {shut_out.failures}")
    assert rules
    assert not shut_out.answers
    # ... and where netshare is not, firewalld turns away who asks for port 80: else nobody would be there, who refuses.
    host.shell("netshare reset --yes")
    shut_out = fresh.count(3)
    told.append(f"with firewalld, without any rule of netshare's: {shut_out.failures}")
    assert shut_out.failures == {"EHOSTUNREACH": 3}
    host.must("systemctl", "stop", "firewalld")
    assert fresh.count(3).failures == {"ConnectionRefusedError": 3}

    host.shell("systemctl start firewalld; systemctl start netshare")
    eventually(lambda: fresh.count().answers.keys() == REPLICAS)
    assert fresh.count().answering() == REPLICAS

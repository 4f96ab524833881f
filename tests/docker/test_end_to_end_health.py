"""netshare's own health checks, with real containers and the agent as a process."""

import pytest
from docker.models.containers import Container

from tests.docker.admin import Admin
from tests.docker.hints import eventually

pytestmark = pytest.mark.docker

FAST = ("--interval", "200ms", "--health-timeout", "200ms", "--rise", "1", "--fall", "2")


def busybox(container: Container, command: str) -> None:
    """Run a command line in a container, which must go well."""
    code, output = container.exec_run(["/bin/busybox", "sh", "-c", command])
    assert code == 0, output


def run(admin: Admin, number: int, **labels: str) -> Container:
    """Start a replica with a web server beside it, which has a page called up."""
    container = admin.lab.run(f"web-{number}", labels=labels)
    busybox(container, "busybox mkdir /www && busybox touch /www/up && busybox httpd -p 9000 -h /www")
    return container


def test_a_check_by_http_takes_a_replica_out_and_back_while_no_request_fails(admin: Admin) -> None:
    _, ill, _ = (run(admin, number) for number in (1, 2, 3))
    admin.start_agent()
    admin.attach("--health", "http:9000/up", *FAST)
    admin.await_traffic("web-1", "web-2", "web-3")
    with admin.load() as load:
        busybox(ill, "busybox rm /www/up")
        admin.await_traffic("web-1", "web-3")
        assert (admin.status()["web-2"]["state"], admin.status()["web-2"]["reason"]) == (
            "unhealthy",
            "its health check fails: HTTP 404",
        )
        busybox(ill, "busybox touch /www/up")
        admin.await_traffic("web-1", "web-2", "web-3")
        assert load.stop().failures == ()


def test_one_that_starts_waits_for_its_check_and_one_that_is_restarted_starts_anew(admin: Admin) -> None:
    run(admin, 1)
    agent = admin.start_agent()
    admin.attach("--health", "http:9000/up", *FAST)
    late = admin.lab.run("web-2")
    eventually(lambda: "connection refused" in (admin.status()["web-2"]["reason"] or ""))
    agent.sync()
    admin.await_traffic("web-1")
    busybox(late, "busybox mkdir /www && busybox touch /www/up && busybox httpd -p 9000 -h /www")
    admin.await_traffic("web-1", "web-2")
    late.restart(timeout=1)
    admin.await_traffic("web-1")
    busybox(late, "busybox httpd -p 9000 -h /www")
    admin.await_traffic("web-1", "web-2")


def test_with_nobody_well_all_are_served_and_status_says_so_also_without_the_agent(admin: Admin) -> None:
    both = [run(admin, number) for number in (1, 2)]
    agent = admin.start_agent()
    admin.attach("--health", "http:9000/up", *FAST)
    for container in both:
        busybox(container, "busybox rm /www/up")
    eventually(lambda: {replica["state"] for replica in admin.status().values()} == {"unhealthy"})
    admin.await_traffic("web-1", "web-2")
    assert all(replica["reason"].endswith("still serving (fail open)") for replica in admin.status().values())
    [service] = admin.netshare("status", "-o", "json").document["services"]
    assert service["failing_open"] is True
    assert any("fail_open=yes" in line for line in agent.log())
    assert agent.end() == 0
    assert {replica["state"] for replica in admin.status().values()} == {"unhealthy"}  # for a while still
    assert (admin.runtime / "health.json").stat().st_mode & 0o777 == 0o644
    (admin.runtime / "health.json").write_text("garbage")
    assert {replica["state"] for replica in admin.status().values()} == {"ready"}
    assert "health is probed only while" in admin.netshare("status").err


def test_a_label_asks_for_a_check_as_well(admin: Admin) -> None:
    check = {"netshare.health": "http:9000/up interval=200ms timeout=200ms fall=2 rise=1"}
    labels = {"netshare.service": "web", "netshare.port": "80", **check}
    ill, _ = (run(admin, number, **labels) for number in (1, 2))
    admin.start_agent()
    admin.await_traffic("web-1", "web-2")
    busybox(ill, "busybox rm /www/up")
    admin.await_traffic("web-2")

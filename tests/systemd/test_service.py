"""The agent as a service of a real systemd, in the sandbox of its unit, from install to uninstall: one story."""

import json
import re
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.docker import image
from tests.systemd.machine import NETSHARE, PYTHON, Machine

pytestmark = [pytest.mark.systemd, pytest.mark.slow]

_PATIENCE = 60.0
ALL_READY = "services 1, replicas ready 3 of 3"
WAITING = """
import json, socket
connected = socket.create_connection(("172.17.0.1", 80))
print(json.loads(connected.recv(200))["replica"], flush=True)
connected.recv(1)
"""
WORST = 2.5
"""What `systemd-analyze security` may come to: 0 is no exposure, 10 is all there is."""


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)


def answer(machine: Machine) -> str:
    """Who answers on port 80 of the host; empty: nobody."""
    line = machine.run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/80 && read -rt 5 line <&3 && echo $line").out
    return str(json.loads(line)["replica"]) if line else ""


def shown(machine: Machine, *properties: str) -> list[str]:
    words = [f"--property={name}" for name in properties]
    lines = machine.must("systemctl", "show", *words, "netshare").splitlines()
    found = dict(line.split("=", maxsplit=1) for line in lines)
    return [found[name] for name in properties]


def journal(machine: Machine, *words: str) -> list[str]:
    return machine.must("journalctl", "--unit=netshare", "--output=cat", *words).splitlines()


def start_replicas(machine: Machine) -> None:
    with closing(machine.docker()) as client:
        for name in ("web-1", "web-2", "web-3"):
            client.containers.run(
                image.NAME,
                ["/bin/replica", "3000"],
                name=name,
                hostname=name,
                detach=True,
                restart_policy={"Name": "always"},
            )


def test_install_starts_it_and_a_second_time_does_nothing(machine: Machine) -> None:
    done = machine.must(*NETSHARE, "agent", "install")
    assert re.fullmatch(
        r"netshare.service: wrote /etc/systemd/system/netshare.service\n"
        r"netshare.service: enabled: it starts at boot\n"
        r"netshare.service: started \(pid \d+\)",
        done,
    )
    assert shown(machine, "ActiveState", "StatusText") == ["active", "services 0, replicas ready 0 of 0"]
    assert machine.must(*NETSHARE, "agent", "install") == "netshare.service: nothing to do"


def test_systemd_finds_no_fault_with_the_unit(machine: Machine) -> None:
    done = machine.run("systemd-analyze", "verify", "--man=no", "netshare.service")
    assert (done.code, done.out, done.err) == (0, "", "")
    said = machine.must("systemd-analyze", "security", "--no-pager", "netshare.service").splitlines()[-1]
    found = re.search(r"netshare.service: ([\d.]+) OK", said)
    assert found is not None, said
    assert float(found[1]) <= WORST


def test_it_does_all_of_its_work_in_the_sandbox(machine: Machine) -> None:
    start_replicas(machine)
    machine.must(*NETSHARE, "attach", "web", "80", "--health", "tcp", "--interval", "200ms")
    assert {answer(machine) for _ in range(30)} == {"web-1", "web-2", "web-3"}  # route_localnet was written
    assert "netshare" in machine.must("iptables", "-S", "DOCKER-USER")
    busy = machine.run(PYTHON, "-c", "import socket; socket.socket().bind(('', 80))")
    assert "Address already in use" in busy.err  # it holds ports below 1024
    assert journal(machine, "--priority=warning") == []


def test_clients_that_a_drain_cuts_are_reset(machine: Machine) -> None:
    """The flow is deleted, and the client, who only waits, is sent a segment of netshare's own (CAP_NET_RAW)."""
    machine.must(*NETSHARE, "attach", "web", "80", "--drain", "1s")
    with machine.start(PYTHON, "-c", WAITING) as client, closing(machine.docker()) as docker:
        try:
            assert client.stdout is not None
            replica = docker.containers.get(client.stdout.readline().strip())
            replica.kill("SIGTERM")  # it goes on all the same
            _, err = client.communicate(timeout=_PATIENCE)
            replica.restart(timeout=0)
        finally:
            client.kill()
    assert err.strip().endswith("ConnectionResetError: [Errno 104] Connection reset by peer")


def test_reload_is_over_when_the_kernel_has_followed(machine: Machine) -> None:
    eventually(lambda: shown(machine, "StatusText") == [ALL_READY])
    machine.must("systemctl", "reload", "netshare")
    assert journal(machine)[-2] == "in step: 1 service, 3 of 3 replicas ready"


def test_it_follows_a_docker_that_is_restarted(machine: Machine) -> None:
    machine.must("systemctl", "restart", "docker")
    eventually(lambda: shown(machine, "StatusText") == [ALL_READY])
    assert {answer(machine) for _ in range(30)} == {"web-1", "web-2", "web-3"}


def test_it_is_back_after_a_kill_and_traffic_goes_on_meanwhile(machine: Machine) -> None:
    (pid,) = shown(machine, "MainPID")
    machine.must("kill", "-KILL", pid)
    assert answer(machine) != ""
    eventually(lambda: shown(machine, "ActiveState", "NRestarts") == ["active", "1"])
    assert answer(machine) != ""


def test_one_that_hangs_is_restarted_and_tells_where_it_hung(machine: Machine) -> None:
    override = machine.path("/run/systemd/system/netshare.service.d/soon.conf")
    override.parent.mkdir(parents=True)
    override.write_text("[Service]\nWatchdogSec=3s\n", encoding="ascii")
    machine.must("systemctl", "daemon-reload")
    machine.must("systemctl", "restart", "netshare")
    time.sleep(5)  # more than its patience: a loop that turns is heard of in time
    assert shown(machine, "NRestarts") == ["0"]
    with machine.start(
        "flock", "--no-fork", "/run/netshare/lock", "sleep", "infinity"
    ) as holder:  # the next reconcile waits for it
        eventually(lambda: shown(machine, "NRestarts") != ["0"])
        holder.kill()
    log = journal(machine)
    assert "netshare.service: Watchdog timeout (limit 3s)!" in log
    assert any("in exclusive" in line and "runtime/lock.py" in line for line in log)
    override.unlink()
    machine.must("systemctl", "daemon-reload")
    machine.must("systemctl", "restart", "netshare")


def test_all_is_back_after_a_reboot(machine: Machine) -> None:
    machine.reboot()
    eventually(lambda: shown(machine, "ActiveState", "StatusText") == ["active", ALL_READY])
    assert {answer(machine) for _ in range(30)} == {"web-1", "web-2", "web-3"}


def test_uninstall_leaves_traffic_alone(machine: Machine) -> None:
    done = machine.must(*NETSHARE, "agent", "uninstall").splitlines()
    assert [line.split()[1] for line in done] == ["stopped:", "disabled:", "removed"]
    assert not machine.path("/etc/systemd/system/netshare.service").exists()
    assert answer(machine) != ""
    assert machine.must(*NETSHARE, "agent", "uninstall") == "netshare.service: nothing to do"


def test_an_agent_that_somebody_started_by_hand_has_to_go_first(machine: Machine) -> None:
    with machine.start(*NETSHARE, "agent") as agent:
        eventually(
            lambda: machine.run(*NETSHARE, "sync").code == 0 and machine.path("/run/netshare/agent.sock").exists()
        )
        done = machine.run(*NETSHARE, "agent", "install")
        assert (done.code, "not as a unit" in done.err) == (1, True)
        agent.kill()

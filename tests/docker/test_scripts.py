"""scripts/restart-replicas on real containers, under load."""

from pathlib import Path

import pytest

from tests.docker.admin import Admin
from tests.docker.test_end_to_end_agent import LISTENING
from tests.outcome import Done
from tests.prerequisites import program, require

pytestmark = pytest.mark.docker

SCRIPTS = Path(__file__).parents[2] / "scripts"


def restart(admin: Admin, netshare_command: str, *words: str) -> Done:
    require(program("jq"), program("docker"), program("bash"))
    return admin.run(str(SCRIPTS / "restart-replicas"), *words, NETSHARE=netshare_command)


def test_every_replica_is_restarted_and_no_request_fails(admin: Admin, netshare_command: str) -> None:
    before = {name: admin.lab.run(name, healthcheck=LISTENING) for name in ("web-1", "web-2", "web-3")}
    admin.attach()
    admin.start_agent()
    with admin.load(rate=100) as load:
        done = restart(admin, netshare_command, "web", "--timeout", "5s")
        sent = load.stop()
    assert done.code == 0, done
    assert [line for line in done.err.splitlines() if line.endswith("is back")] == [
        f"restart-replicas: {name} is back" for name in before
    ]
    assert sent.failures == ()
    for container in before.values():
        container.reload()
        assert container.attrs["RestartCount"] == 0
        assert container.attrs["State"]["StartedAt"] > container.attrs["Created"]
    assert {replica["state"] for replica in admin.status().values()} == {"ready"}
    assert sent.answers.keys() == set(before)


def test_the_last_that_is_ready_is_left_alone(admin: Admin, netshare_command: str) -> None:
    admin.lab.run("web-1")
    admin.attach()
    done = restart(admin, netshare_command, "web")
    assert (done.code, "--even-the-last" in done.err) == (1, True)
    admin.await_traffic("web-1")
    assert restart(admin, netshare_command, "--even-the-last", "web").code == 0


def test_one_that_does_not_come_back_ends_it(admin: Admin, netshare_command: str) -> None:
    admin.lab.run("web-1", healthcheck={"test": ["CMD-SHELL", "test ! -e /once && >/once"], "interval": 200_000_000})
    admin.lab.run("web-2", healthcheck=LISTENING)
    admin.attach()
    admin.start_agent()
    done = restart(admin, netshare_command, "--ready", "2", "web")
    assert (done.code, "web-1 is not ready after 2 s" in done.err) == (8, True)
    assert "web-2" not in done.err
    admin.await_traffic("web-2")

"""The agent as others find it: what its process may still do, and who may read and write what it leaves behind."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from netshare.lab.topology import Lab
from netshare.lab.traffic import send
from netshare.netfilter.forwarding.places import COMMENT
from netshare.runtime.privileges import DAC_READ_SEARCH, KEPT
from tests.netns.admin import Admin, Agent
from tests.netns.nft import nft, run
from tests.netns.waiting import until

pytestmark = pytest.mark.netns

PRIVATE = {"lock": 0o600, "agent.lock": 0o600, "agent.sock": 0o600}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(replicas=2) as built:
        yield built


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("confined")


@pytest.fixture(scope="module")
def admin(lab: Lab, directory: Path) -> Iterator[Admin]:
    admin = Admin(lab, directory)
    yield admin
    admin.close()


@pytest.fixture(scope="module")
def agent(lab: Lab, admin: Admin) -> Iterator[Agent]:
    """Have it run on a host that drops what is forwarded, with a service and a check of its replicas' health."""
    assert run(lab.host, "iptables", "-P", "FORWARD", "DROP").returncode == 0
    with admin.agent() as running:
        words = (word for each in lab.replicas.values() for word in ("--endpoint", str(each.endpoint)))
        done = admin.netshare("attach", "web", "80", "--health", "tcp", *words)
        assert done.code == 0, done
        yield running


def sets(thread: Path) -> dict[str, int]:
    lines = (line.split(":\t") for line in (thread / "status").read_text(encoding="utf-8").splitlines())
    return {key: int(value, 16) for key, value in lines if key.startswith(("Cap", "NoNewPrivs"))}


def test_no_thread_of_it_has_more_than_it_needs(agent: Agent) -> None:
    most = sum(1 << number for number in (*KEPT, DAC_READ_SEARCH))
    threads = list(Path(f"/proc/{agent.process.pid}/task").iterdir())
    assert len(threads) > 3
    for found in map(sets, threads):
        assert all(found[each] & ~most == 0 for each in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"))
        assert found["NoNewPrivs"] == 1


def test_only_root_can_write_and_what_could_be_held_or_asked_is_root_s_alone(agent: Agent, directory: Path) -> None:
    until((directory / "run" / "health.json").exists)
    found = [path for folder in ("state", "run") for path in (directory / folder, *(directory / folder).rglob("*"))]
    assert {path.name for path in found} >= {*PRIVATE, "services", "web.json", "health.json", "bridges.json"}
    for path in found:
        status = path.lstat()
        expected = PRIVATE.get(path.name, 0o755 if path.is_dir() else 0o644)
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (os.geteuid(), expected), path
    assert agent.process.poll() is None


def test_it_can_do_all_its_work_all_the_same(lab: Lab, admin: Admin, agent: Agent) -> None:
    """Nftables, iptables by its tool, a bridge's switch, the port that is held, probes."""
    assert send(lab.client.namespace, lab.at(80), 20).answers.keys() == {"replica-1", "replica-2"}
    nft(lab.host, "flush", "ruleset")
    assert run(lab.host, "iptables", "-P", "FORWARD", "DROP").returncode == 0
    until(lambda: COMMENT in run(lab.host, "iptables", "-S", "FORWARD").stdout)
    until(lambda: not send(lab.client.namespace, lab.at(80), 5, timeout=0.5).failures)
    assert run(lab.host, "sysctl", "-n", f"net.ipv4.conf.{lab.network.bridge}.route_localnet").stdout == "1\n"
    lab.replicas["replica-1"].server.stop()
    until(lambda: "unhealthy" in admin.netshare("status").out)
    assert not agent.said("ERROR")

"""``import netshare`` on the real kernel: what its functions do is what packets meet."""

import math
import os
from pathlib import Path

import pytest

import netshare
from netshare.lab.topology import Lab
from netshare.lab.traffic import send

pytestmark = pytest.mark.netns


@pytest.fixture(autouse=True)
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE", "RUNTIME"):
        monkeypatch.setenv(f"NETSHARE_{name}_DIR", str(tmp_path / name.lower()))
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        monkeypatch.setenv(name, f"unix://{tmp_path}/no.sock")


def answering(lab: Lab, port: int = 80) -> set[str]:
    return set(send(lab.client.namespace, lab.at(port), 30).answers)


def test_the_verbs_as_functions(lab: Lab, tmp_path: Path) -> None:
    host, replicas = lab.host, list(lab.replicas.values())
    endpoints = [str(replica.endpoint) for replica in replicas]
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    attached = host.run(netshare.attach, "web", 80, endpoints=endpoints, weights={endpoints[0]: 2}, timeout=10)
    assert (attached.changed, str(attached.service.listeners[0])) == (True, "80/tcp")
    assert {replica.state for replica in attached.replicas} == {netshare.ReplicaState.READY}
    assert not host.run(netshare.attach, "web", "80/tcp", endpoints=endpoints).changed
    assert answering(lab) == set(lab.replicas)

    [found] = host.run(netshare.status, "web").services
    assert [replica.replica.weight for replica in found.replicas] == [2, 1, 1]
    assert sum(replica.connections_total for replica in found.replicas) == 30
    assert [service.name for service in host.run(netshare.list).services] == ["web"]

    first = endpoints[0]
    drained = host.run(netshare.drain, "web", first, timeout="none")
    assert (drained.changed, drained.drains[0].deadline) == (True, math.inf)
    assert answering(lab) == {replica.name for replica in replicas[1:]}
    host.run(netshare.resume, "web", first)
    assert host.run(netshare.weight, "web", first, 0).weight == 0
    assert answering(lab) == {replica.name for replica in replicas[1:]}
    host.run(netshare.drain, "web", endpoints[1], timeout=5, wait=True)  # nothing is open: at once
    assert answering(lab) == {replicas[2].name}
    host.run(netshare.resume, "web", endpoints[1])

    other = netshare.Service("other", (netshare.Listener(81),), endpoints=found.service.endpoints)
    assert not host.run(netshare.apply, [other], dry_run=True).agent
    assert host.run(netshare.apply, [other], prune=True).is_change
    assert answering(lab, 81) == set(lab.replicas)
    assert [item.service.name for item in host.run(netshare.sync).services] == ["other"]
    (tmp_path / "services.yaml").write_text("schema: 1\nservices: []\n", encoding="ascii")
    host.run(netshare.apply, tmp_path / "services.yaml", prune=True)
    assert host.run(netshare.list).services == ()
    assert len(os.listdir("/proc/self/fd")) <= descriptors  # noqa: PTH208


def test_what_goes_wrong_is_an_exception_with_its_mend(lab: Lab) -> None:
    run, endpoint = lab.host.run, str(next(iter(lab.replicas.values())).endpoint)
    for wrong in (
        lambda: netshare.attach("web", 99999),
        lambda: netshare.attach("a b", 80),
        lambda: netshare.attach("web", 80, weights={"web-1": 257}),
        lambda: netshare.attach("web", 80, health="ping"),
        lambda: netshare.drain("web", "web-1", timeout=-1),
        lambda: netshare.drain("web", "web-1", timeout=math.nan),
    ):
        with pytest.raises(netshare.UsageError) as usage:
            run(wrong)
        assert usage.value.hint
    for unknown in (lambda: netshare.detach("web"), lambda: netshare.status("web")):
        with pytest.raises(netshare.NotFoundError, match="web"):
            run(unknown)
    run(netshare.attach, "web", 80, endpoints=[endpoint])
    with pytest.raises(netshare.PortConflictError, match="belongs to service web"):
        run(netshare.attach, "api", 80, endpoints=[endpoint])
    with pytest.raises(netshare.NotFoundError, match="no replica"):
        run(netshare.drain, "web", "web-9")
    with pytest.raises(netshare.DefinitionError, match="'bad': port: "):
        run(netshare.apply, [netshare.Service("bad", (netshare.Listener(99999),))])
    with pytest.raises(netshare.DefinitionError, match="can't be read"):
        run(netshare.apply, "/nowhere/services.yaml")
    assert run(netshare.detach, "web", 80).left == ()

"""`netshare pod` on a real Podman: the same as on Docker, by the API that both speak."""

import platform
from ipaddress import ip_address

import pytest

from netshare.core.pods import Published
from netshare.engine import compatible_pods
from netshare.engine.compatible_pods import CompatiblePods
from netshare.engine.podman import PODMAN
from netshare.engine.pods import Sandbox
from tests.docker import image
from tests.outcome import Done
from tests.podman.admin import PodmanAdmin

pytestmark = pytest.mark.podman

REUSE_PORT = ("--", "/bin/replica", "300", "reuse-port")


def pod(admin: PodmanAdmin, *words: str, code: int = 0) -> Done:
    done = admin.netshare("pod", *words)
    assert done.code == code, done
    return done


def test_replicas_share_a_port_come_and_go(admin: PodmanAdmin) -> None:
    pod(admin, "create", "web", "--publish", "80:8080")
    pod(admin, "add", "web", image.NAME, "--count", "2", *REUSE_PORT)
    sent = admin.requests(300)
    assert sent.failures == ()
    assert sent.clients == {ip_address(admin.lab.client_address)}
    assert sent.answers.keys() == {"web-1", "web-2"}
    assert all(100 <= answers <= 200 for answers in sent.answers.values()), sent.answers

    pod(admin, "add", "web", image.NAME, "--", "/bin/replica", "0", "reuse-port-stuck")
    conversations = [admin.lab.converse() for _ in range(30)]
    admin.lab.podman.run("kill", "web-3")
    answers = set()
    for conversation in conversations:
        with conversation:
            answers.add(conversation.ask().replica)
    assert answers == {"web-1", "web-2"}

    with admin.load() as load:
        pod(admin, "remove", "web", "web-1")
        sent = load.stop()
    assert sent.failures == ()
    admin.await_traffic("web-2")
    assert pod(admin, "list").out.splitlines()[1].split() == ["web", "podman", "running", "80:8080/tcp", "2"]
    pod(admin, "remove", "web", "--yes")
    assert admin.lab.podman.run("ps", "--all", "--quiet") == ""
    assert "netshare-sandbox" not in admin.lab.podman.run("images")


def test_what_is_refused(admin: PodmanAdmin) -> None:
    pod(admin, "create", "web", "--publish", "80:8080")
    pod(admin, "add", "web", image.NAME)
    ended = pod(admin, "add", "web", image.NAME, code=1)
    assert "web-2 ended at once (Exited (1) " in ended.err
    assert "80/tcp is taken already: " in pod(admin, "create", "shop", "--publish", "80:8080", code=4).err
    missing = pod(admin, "create", "shop", "--publish", "81:8080", "--image", "none", code=3)
    assert "Podman has no image none\n" in missing.err
    assert "localhost/none" in missing.err
    admin.lab.run("shop-pod")
    assert "a container called shop-pod is there" in pod(admin, "create", "shop", "--publish", "81:8080", code=1).err


def test_a_kernel_that_cannot_hand_connections_on(admin: PodmanAdmin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compatible_pods, "_MIGRATING_KERNEL", (999, 0))
    engine = CompatiblePods(PODMAN, "podman", admin.lab.url)
    [warning] = engine.start_sandbox(Sandbox("web", (Published(80, 8080),)))
    engine.close()
    assert "Linux 5.14 can avoid it" in warning
    assert warning.endswith(f"this is {platform.release()}")
    [pod] = admin.netshare("pod", "list", "-o", "json").document["pods"]
    assert (pod["name"], pod["state"]) == ("web", "running")

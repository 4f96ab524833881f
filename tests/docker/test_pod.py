"""`netshare pod` on a real Docker: replicas of one sandbox share its published port by SO_REUSEPORT."""

import platform
from ipaddress import ip_address
from typing import Any

import pytest

from netshare.core.pods import Published
from netshare.engine import compatible_pods, sandbox_image
from netshare.engine.compatible_pods import CompatiblePods
from netshare.engine.docker import DOCKER
from netshare.engine.pods import Sandbox
from netshare.lab.conversation import Conversation, FailureKind
from tests.docker import image
from tests.docker.admin import Admin
from tests.docker.hints import eventually
from tests.outcome import Done

pytestmark = pytest.mark.docker

SERVER = ("--", "/bin/replica", "300", "reuse-port")
"""The test's server with SO_REUSEPORT; when told to end it takes no more, and has 0.3 s for what it has."""


def create(admin: Admin, *words: str) -> Done:
    done = admin.netshare("pod", "create", "web", "--publish", "80:8080", *words)
    assert done.code == 0, done
    return done


def add(admin: Admin, *words: str, server: tuple[str, ...] = SERVER) -> Done:
    done = admin.netshare("pod", "add", "web", image.NAME, *words, *server)
    assert done.code == 0, done
    return done


def status(admin: Admin) -> dict[str, Any]:
    done = admin.netshare("pod", "status", "web", "-o", "json")
    assert done.code == 0, done
    [pod] = done.document["pods"]
    return dict(pod)


def refused(admin: Admin, code: int, *words: str) -> str:
    before = {container.name: container.status for container in admin.lab.docker.containers.list(all=True)}
    done = admin.netshare("pod", *words)
    assert done.code == code, done
    [said, hint] = done.err.splitlines()
    assert hint.startswith("  hint: ")
    assert {container.name: container.status for container in admin.lab.docker.containers.list(all=True)} == before
    return said.removeprefix("netshare: ")


def test_two_replicas_share_a_port_and_nothing_is_programmed(admin: Admin) -> None:
    untouched = admin.generation()
    assert create(admin).out == "pod web: made, published 80:8080/tcp\n"
    assert admin.requests(3, timeout=1.0).answers == {}
    assert add(admin, "--count", "2").out == "pod web: web-1, web-2 started, published 80:8080/tcp\n"
    sent = admin.requests(300)
    assert sent.failures == ()
    assert sent.answers.keys() == {"web-1", "web-2"}
    # By a hash of addresses and ports, so at random: outside of 100 to 200 less than once in a hundred million times.
    assert all(100 <= answers <= 200 for answers in sent.answers.values()), sent.answers
    assert sent.clients == {ip_address(admin.lab.client_address)}
    assert "netshare" not in "".join(admin.firewall().values())
    assert admin.generation() >= untouched  # Docker's own publishing may be nf_tables'


def test_a_replica_is_added_and_one_removed_under_load(admin: Admin) -> None:
    create(admin)
    add(admin, "--count", "2")
    with admin.load() as load:
        add(admin)
        third = admin.lab.docker.containers.get("web-3")
        eventually(lambda: len(admin.lab.accepted(third)) > 20)
        assert admin.netshare("pod", "remove", "web", "web-1").out == "pod web: web-1 removed\n"
        before = len(admin.lab.accepted(third))
        eventually(lambda: len(admin.lab.accepted(third)) > before + 20)
        sent = load.stop()
    # It stops taking connections and finishes those that it has; those that wait for it go to the others.
    assert sent.failures == ()
    assert sent.answers.keys() == {"web-1", "web-2", "web-3"}
    assert admin.requests(100).answers.keys() == {"web-2", "web-3"}
    # The lowest number that is free is given out again.
    assert "web-1 started" in add(admin).out


def waiting(admin: Admin, total: int) -> list[Conversation]:
    return [admin.lab.converse() for _ in range(total)]


def answered(conversations: list[Conversation]) -> list[str]:
    found = []
    for conversation in conversations:
        with conversation:
            try:
                found.append(conversation.ask().replica)
            except OSError as error:
                found.append(type(error).__name__)
    return found


def test_connections_that_wait_for_a_replica_that_dies_go_to_the_others(admin: Admin) -> None:
    create(admin)
    add(admin)
    add(admin, server=("--", "/bin/replica", "0", "reuse-port-stuck"))
    conversations = waiting(admin, 40)
    admin.lab.docker.containers.get("web-2").kill()
    assert answered(conversations) == ["web-1"] * 40


def test_a_replica_without_the_option_is_told_of(admin: Admin) -> None:
    create(admin)
    add(admin)
    done = admin.netshare("pod", "add", "web", image.NAME, "--", "/bin/replica", "0")
    assert done.code == 1
    assert "web-2 ended at once (Exited (1) " in done.err
    assert "): listen: Address in use" in done.err or "): listen: Address already in use" in done.err
    assert "every replica has to set SO_REUSEPORT" in done.err
    assert {each["name"]: each["state"] for each in status(admin)["replicas"]} == {
        "web-1": "running",
        "web-2": "exited",
    }
    assert admin.netshare("pod", "remove", "web", "web-2").code == 0
    assert admin.requests(5).answers == {"web-1": 5}


def test_all_replicas_have_to_be_one_users(admin: Admin) -> None:
    """The kernel's guard against one user taking another's port, told as any other refusal to listen."""
    create(admin)
    add(admin)
    words = (image.NAME, "--", "/bin/busybox", "setuidgid", "1000", "/bin/replica", "0", "reuse-port")
    assert admin.netshare("pod", "add", "web", *words).code == 1


def test_a_pod_is_removed_whole(admin: Admin) -> None:
    create(admin)
    add(admin, "--count", "2")
    assert "asks before it removes a pod" in refused(admin, 2, "remove", "web")
    done = admin.netshare("pod", "remove", "web", "--yes", "-o", "json")
    assert (done.code, done.document["removed"]) == (0, ["web-1", "web-2", "web-pod"])
    assert admin.lab.docker.containers.list(all=True) == []
    assert sandbox_image.REFERENCE not in {tag for each in admin.lab.docker.images.list() for tag in each.tags}
    assert admin.requests(3, timeout=1.0).failures_by_kind == {FailureKind.REFUSED: 3}
    assert refused(admin, 3, "remove", "web", "--yes") == "no pod is called web"


def test_made_twice_and_started_again(admin: Admin) -> None:
    create(admin)
    add(admin, "--count", "2")
    assert create(admin).out == "pod web: is there, published 80:8080/tcp\n"
    assert "publishes 80:8080/tcp" in refused(admin, 1, "create", "web", "--publish", "81:8080")
    # As after the host was started again.
    for name in ("web-1", "web-2", "web-pod"):
        admin.lab.docker.containers.get(name).stop(timeout=0)
    assert "the sandbox of pod web does not run" in refused(admin, 1, "add", "web", image.NAME)
    assert create(admin).out == "pod web: started, published 80:8080/tcp\n"
    admin.await_traffic("web-1", "web-2")


def test_what_the_programs_are_told(admin: Admin) -> None:
    create(admin)
    add(admin, "--count", "2", "--env", "MODE=fast")
    listed = admin.netshare("pod", "list", "-o", "json").document
    [pod] = listed["pods"]
    assert listed["schema"] == 1
    assert "replicas" not in pod
    assert pod["published"] == [{"address": "*", "port": 80, "protocol": "tcp", "to": 8080}]
    assert (pod["name"], pod["engine"], pod["state"], pod["sandbox"]["name"]) == ("web", "docker", "running", "web-pod")
    replicas = {each["name"]: each for each in status(admin)["replicas"]}
    assert {name: each["state"] for name, each in replicas.items()} == {"web-1": "running", "web-2": "running"}
    for name, role in (("web-pod", "sandbox"), ("web-1", "replica"), ("web-2", "replica")):
        labels = admin.lab.docker.containers.get(name).labels
        assert (labels["netshare.pod"], labels["netshare.pod.role"]) == ("web", role)
    config = admin.lab.docker.containers.get("web-2").attrs["Config"]
    assert {"MODE=fast", "NETSHARE_REPLICA=web-2"} <= set(config["Env"])
    # A pod is none of `attach`'s business, nor are its labels.
    assert admin.netshare("list", "-o", "json").document["notices"] == []


def test_ports_that_others_have(admin: Admin) -> None:
    admin.lab.run("shop", ports={"8080/tcp": 80})
    said = refused(admin, 4, "create", "web", "--publish", "81:8081", "--publish", "80:8080")
    assert said.startswith("80/tcp is taken already: ")
    with admin.listening(82):
        assert refused(admin, 4, "create", "web", "--publish", "82:8080").startswith("82/tcp is taken already: ")
    assert admin.netshare("attach", "shop", "83").code == 0
    assert refused(admin, 4, "create", "web", "--publish", "83:8080") == "83/tcp belongs to service shop"
    done = admin.netshare("pod", "create", "web", "--publish", "80:8080", "-o", "json")
    assert done.document["error"]["code"] == "port_conflict"
    assert admin.requests(3).answers == {"shop": 3}


def test_names_that_others_have(admin: Admin) -> None:
    taken = admin.lab.run("web-pod")
    assert "a container called web-pod is there already" in refused(admin, 1, "create", "web", "--publish", "80:8080")
    taken.remove(force=True)
    create(admin)
    admin.lab.run("web-2")
    done = admin.netshare("pod", "add", "web", image.NAME, "--count", "3", *SERVER)
    assert done.code == 1
    assert "a container called web-2 is there already, and is none of this pod's (web-1 run" in done.err
    assert admin.requests(3).answers == {"web-1": 3}


def test_images_that_there_are_not_or_that_cannot_sleep(admin: Admin) -> None:
    publish = ("create", "web", "--publish", "80:8080", "--image")
    assert refused(admin, 3, *publish, "no/such:image") == "Docker has no image no/such:image"
    assert "web-pod can't be started: " in refused(admin, 1, *publish, image.NAME)
    create(admin)
    assert refused(admin, 3, "add", "web", "nobody") == "Docker has no image nobody"
    assert "docker pull IMAGE" in admin.netshare("pod", "add", "web", "nobody").err
    assert refused(admin, 1, "add", "web", image.NAME, "--", "/bin/none").startswith("web-1 can't be started: ")
    assert refused(admin, 3, "add", "wep", image.NAME) == "no pod is called wep"
    assert refused(admin, 3, "remove", "web", "web-9") == "pod web has no replica 'web-9'"


def test_a_sandbox_of_another_image_and_another_network(admin: Admin) -> None:
    admin.lab.docker.networks.create("shop")
    name = f"{image.NAME}-sleeper"
    # The test's image, with busybox under the name of `sleep`.
    maker = admin.lab.run("maker")
    assert maker.exec_run(["/bin/busybox", "ln", "-s", "/bin/busybox", "/bin/sleep"]).exit_code == 0
    maker.commit(name)
    try:
        create(admin, "--image", name, "--network", "shop")
        add(admin)
        assert admin.requests(3).answers == {"web-1": 3}
        sandbox = admin.lab.docker.containers.get("web-pod")
        assert set(sandbox.attrs["NetworkSettings"]["Networks"]) == {"shop"}
    finally:
        admin.lab.clear()
        admin.lab.docker.images.remove(name)


def test_no_root_is_needed_beside_the_socket(admin: Admin) -> None:
    prefix = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "+dac_override")
    rights = (*prefix, "--ambient-caps", "+dac_override")  # to reach the lab's socket and the checkout
    assert admin.netshare("pod", "create", "web", "--publish", "80:8080", prefix=rights).code == 0
    assert admin.netshare("pod", "list", prefix=rights).out.splitlines()[1].split() == [
        "web",
        "docker",
        "running",
        "80:8080/tcp",
        "0",
    ]


def test_docker_unreachable(admin: Admin) -> None:
    create(admin)
    admin.lab.daemon.down()
    for words in (("list",), ("status", "web"), ("create", "web", "--publish", "80:8080"), ("remove", "web", "--yes")):
        done = admin.netshare("pod", *words)
        assert done.code == 6, done


def test_a_kernel_that_cannot_hand_connections_on(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compatible_pods, "_MIGRATING_KERNEL", (999, 0))
    engine = CompatiblePods(DOCKER, "docker", admin.lab.url)
    [warning] = engine.start_sandbox(Sandbox("web", (Published(80, 8080),)))
    engine.close()
    assert "Linux 5.14 can avoid it" in warning
    assert warning.endswith(f"this is {platform.release()}")
    [pod] = admin.netshare("pod", "list", "-o", "json").document["pods"]
    assert (pod["name"], pod["state"]) == ("web", "running")
    add(admin)
    add(admin, server=("--", "/bin/replica", "0", "reuse-port-stuck"))
    conversations = waiting(admin, 40)
    admin.lab.docker.containers.get("web-2").kill()
    assert set(answered(conversations)) == {"web-1", "ConnectionResetError"}

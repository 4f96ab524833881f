"""`netshare rollout` on a real Docker, under load: every replica replaced, and no request failed."""

import io
import re
import signal
import sys
import tarfile
import time
from contextlib import suppress
from pathlib import Path
from shutil import which

import pytest
from docker.models.containers import Container

from netshare.lab.conversation import Conversation
from netshare.lab.traffic import Load
from tests.docker import image
from tests.docker.admin import Admin
from tests.docker.hints import eventually
from tests.docker.test_end_to_end_agent import LISTENING

pytestmark = pytest.mark.docker

NAMES = ("web-1", "web-2", "web-3")


def start(admin: Admin, *names: str, **options: object) -> dict[str, Container]:
    """Run replicas that call themselves by their ids, so that an old one and a new one can be told apart."""
    made = {name: admin.lab.run(name, hostname=None, grace_ms=0, **options) for name in names}
    admin.attach()
    return made


def ids(admin: Admin) -> dict[str, str]:
    """Give the ids of all containers, running or not, by their names."""
    return {str(each.name): str(each.id) for each in admin.lab.docker.containers.list(all=True)}


def short(found: dict[str, str]) -> set[str]:
    """Give the names that containers have for themselves."""
    return {identity[:12] for identity in found.values()}


def load(admin: Admin) -> Load:
    return Load(admin.lab.client, admin.lab.at(80), total=20_000, rate=200, timeout=5)


def asked_until_the_end(request: Conversation) -> int:
    """Ask until the replica has hung up; gives when it has answered last, in nanoseconds since 1970."""
    answered = 0
    with suppress(OSError):
        while True:
            request.ask()
            answered = time.time_ns()
            time.sleep(0.02)
    return answered


def broken_image(admin: Admin) -> str:
    """Make an image whose program ends at once: busybox, by a name that it does not know."""
    busybox = which("busybox")
    assert busybox is not None
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tar.gettarinfo(busybox, "bin/replica")
        entry.mode = 0o755
        with Path(busybox).open("rb") as content:
            tar.addfile(entry, content)
    admin.lab.docker.api.import_image_from_data(archive.getvalue(), repository="broken", tag="latest")
    return "broken"


@pytest.mark.parametrize("with_agent", [True, False])
def test_every_replica_is_replaced_under_load(admin: Admin, with_agent: bool) -> None:  # noqa: FBT001 (a parameter)
    before = {name: str(each.id) for name, each in start(admin, *NAMES).items()}
    admin.lab.docker.images.get(image.NAME).tag(image.NAME, "2")
    if with_agent:
        admin.start_agent()
    with load(admin) as sending:
        done = admin.netshare("rollout", "web", "--image", f"{image.NAME}:2", "--batch", "2", "--drain", "3s")
        sent = sending.stop()
    assert done.code == 0, done
    after = ids(admin)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert sent.failures == ()
    assert sent.answers.keys() == short(before) | short(after)
    assert set(admin.requests(60).answers) == short(after)
    images = {each.attrs["Config"]["Image"] for each in admin.lab.docker.containers.list()}
    assert images == {f"{image.NAME}:2"}
    assert done.out.startswith("web: 3 replicas replaced in ")
    assert "shifted: web-4, web-5 in, web-1, web-2 out" in done.err


def test_what_is_open_at_the_deadline_is_answered_until_its_replica_has_stopped(admin: Admin) -> None:
    """The stop signal, as with `docker stop`: a server finishes what it was asked, which nobody may cut before."""
    started = {name: admin.lab.run(name, hostname=None, grace_ms=2000) for name in ("web-1", "web-2")}
    admin.attach()
    admin.start_agent()
    began, old = time.time(), str(started["web-1"].id)
    with admin.talk_to(old[:12]) as request:
        driving = admin.start("rollout", "web", "--batch", "2", "--drain", "500ms")
        answered = asked_until_the_end(request)
        _, said = driving.communicate(timeout=60)
    assert driving.returncode == 0, said
    assert answered - admin.killed_at("web-1", began) > 1e9
    assert "web-1 has 1 connection left after 1 s, which its stop is to end" in said


def test_an_image_that_ends_at_once_is_taken_back(admin: Admin) -> None:
    start(admin, *NAMES)
    before = ids(admin)
    admin.start_agent()
    with load(admin) as sending:
        done = admin.netshare("rollout", "web", "--image", broken_image(admin), "-o", "json")
        sent = sending.stop()
    assert done.code == 1, done
    assert done.document["error"]["message"].startswith("the rollout of web was taken back: web-4 has ended (exit code")
    assert ids(admin) == before
    assert sent.failures == ()
    assert sent.answers.keys() == short(before)


def test_one_that_is_never_well_is_taken_back_in_time(admin: Admin) -> None:
    start(admin, *NAMES, healthcheck=LISTENING)
    before = ids(admin)
    eventually(lambda: {each["state"] for each in admin.status().values()} == {"ready"})
    api = admin.lab.docker.api
    base = api.create_container(image.NAME, ["/bin/replica"])["Id"]
    api.commit(base, repository="ill", tag="latest", changes=['ENTRYPOINT ["/bin/sh", "-c", "/bin/busybox sleep 60"]'])
    api.remove_container(base)
    admin.start_agent()
    with load(admin) as sending:
        done = admin.netshare("rollout", "web", "--image", "ill", "--timeout", "3s")
        sent = sending.stop()
    assert done.code == 8, done
    assert "not well within 3 s: web-4: its HEALTHCHECK" in done.err
    assert ids(admin) == before
    assert sent.failures == ()


def test_a_canary_has_its_share_and_is_promoted_by_another_process(admin: Admin) -> None:
    start(admin, *NAMES, healthcheck=LISTENING)
    before = ids(admin)
    admin.start_agent()
    driving = admin.start("rollout", "web", "--canary", "10%", "--drain", "1s")
    eventually(lambda: len(set(admin.requests(100).answers)) == 4)
    sent = admin.requests(2000)
    assert sent.failures == ()
    [canary] = set(sent.answers) - short(before)
    assert 130 < sent.answers[canary] < 270  # 10 % of 2,000; five times its standard deviation is 67
    weights = {name: each["weight"] for name, each in admin.status().items()}
    assert weights == {"web-1": 3, "web-2": 3, "web-3": 3, "web-4": 1}
    under_way = "netshare: a rollout of web is under way: paused, 0 of 3 replicas are new, 1 on trial\n"
    assert admin.netshare("rollout", "web").err.startswith(under_way)
    promoted = admin.netshare("rollout", "web", "--promote")
    assert promoted.code == 0, promoted
    driving.communicate(timeout=60)
    assert driving.returncode == 0
    assert not set(ids(admin).values()) & set(before.values())


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "--abort"), (signal.SIGKILL, "--resume")])
def test_an_interrupted_one_goes_on_or_is_taken_back(admin: Admin, number: signal.Signals, word: str) -> None:
    start(admin, *NAMES, healthcheck=LISTENING)
    before = ids(admin)
    admin.start_agent()
    with load(admin) as sending:
        driving = admin.start("rollout", "web", "--batch", "1", "--drain", "1s")
        eventually(lambda: "web-1" in admin.status() and admin.status()["web-1"]["state"] in ("draining", "gone"))
        driving.send_signal(number)
        _, said = driving.communicate(timeout=60)
        unfinished = admin.netshare("rollout", "web")
        assert unfinished.code == 1
        assert "netshare rollout web --resume" in unfinished.err
        if number is signal.SIGINT:
            assert driving.returncode == 130
            assert re.search(
                "interrupted: [12] of 3 replicas are new; `netshare rollout web --resume` goes on", said
            ), said
        done = admin.netshare("rollout", "web", word)
        sent = sending.stop()
    assert done.code == 0, done
    after = ids(admin)
    assert after.keys() == before.keys()
    assert after == before if word == "--abort" else not set(after.values()) & set(before.values())
    assert sent.failures == ()
    assert admin.netshare("rollout", "web", "--resume").code == 3


PROGRAM = """
import netshare

def show(progress):
    if not progress.is_waiting:
        print(progress.what)

rolled = netshare.rollout("web", batch=2, drain=3, progress=show)
print(rolled.outcome, *(pair.new.id for pair in rolled.pairs))
"""


def test_from_python(admin: Admin) -> None:
    before = {name: str(each.id) for name, each in start(admin, *NAMES).items()}
    with load(admin) as sending:
        done = admin.run(sys.executable, "-c", PROGRAM)
        sent = sending.stop()
    assert (done.code, done.err) == (0, "")
    *said, last = done.out.splitlines()
    after = ids(admin)
    assert set(last.split()) == {"completed", *after.values()}
    assert not set(after.values()) & set(before.values())
    assert said[0] == "replacing 3 replicas, 2 at a time, 2 more at most"
    assert sent.failures == ()

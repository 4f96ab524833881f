"""The recipes of the documents, as they are written there, on real containers and under load."""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from netshare.lab.traffic import Load
from tests.docker import image
from tests.docker.admin import Admin
from tests.docker.hints import eventually
from tests.prerequisites import program, require
from tests.unit.test_documents import DOCS, blocks

pytestmark = pytest.mark.docker

# The lab's replicas don't speak HTTP, so that their wget looks whether the port is listened on.
WGET = b"#!/bin/sh\nexec /bin/busybox grep -q ':1F90 00000000:0000 0A' /proc/net/tcp\n"
MY_WEB = "my/web"


@pytest.fixture
def my_web(admin: Admin) -> Iterator[None]:
    """The image that the recipes speak of: the lab's replica, with a wget for health checks."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("wget")
        entry.size, entry.mode = len(WGET), 0o755
        tar.addfile(entry, io.BytesIO(WGET))
    container = admin.lab.docker.containers.create(image.NAME)
    container.put_archive("/bin", archive.getvalue())
    container.commit(MY_WEB, changes="ENV PATH=/bin")
    yield
    admin.lab.clear()
    admin.lab.docker.images.remove(MY_WEB, force=True)


@pytest.mark.usefixtures("my_web")
def test_compose(admin: Admin, tmp_path: Path) -> None:
    require(program("docker-compose"))
    [file] = blocks((DOCS / "recipes" / "compose.md").read_text(encoding="utf-8"), "yaml")
    project = tmp_path / "shop"
    project.mkdir()
    (project / "docker-compose.yaml").write_text(file, encoding="ascii")

    def compose(*words: str) -> None:
        done = subprocess.run(
            ["docker-compose", *words],
            cwd=project,
            env=admin.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done

    admin.start_agent()
    compose("up", "--detach")
    eventually(lambda: len(admin.requests(60).answers) == 3)
    with admin.load(rate=100) as sending:
        compose("up", "--detach", "--scale", "web=5")
        eventually(lambda: len(admin.requests(100).answers) == 5)
        sent = sending.stop()
    assert sent.failures == ()
    compose("up", "--detach", "--scale", "web=2")
    eventually(lambda: len(admin.requests(60).answers) == 2)


@pytest.mark.usefixtures("my_web")
def test_from_a_published_port(admin: Admin) -> None:
    run = admin.lab.docker.containers.run
    old = run(MY_WEB, name="web", hostname="web", detach=True, ports={"8080/tcp": 80})
    eventually(lambda: admin.requests(5).answers == {"web": 5})
    admin.start_agent()
    with Load(admin.lab.client, admin.lab.at(80), total=20_000, rate=200, timeout=5) as sending:
        for number in (1, 2):
            run(MY_WEB, name=f"web-{number}", hostname=f"web-{number}", detach=True)
        refused = admin.netshare("attach", "web", "80")
        assert refused.code == 4
        assert "published by container web (docker)" in refused.err
        assert admin.netshare("attach", "web", "80", "--force").code == 0
        admin.await_traffic("web", "web-1", "web-2")
        assert admin.netshare("drain", "web", "web", "--wait").code == 0
        old.remove(force=True)
        admin.await_traffic("web-1", "web-2")
        sent = sending.stop()
    assert sent.failures == ()

"""`netshare rollout` of a Compose service that has nothing but labels, with the Compose that there is."""

import subprocess
from pathlib import Path

import pytest

from netshare.lab.traffic import Load
from tests.docker import image
from tests.docker.admin import Admin
from tests.docker.hints import eventually
from tests.prerequisites import program, require

pytestmark = pytest.mark.docker

FILE = """
version: "2.4"
services:
  web:
    image: {image}
    command: ["/bin/replica", "0"]
    environment:
      RELEASE: "{release}"
    labels:
      netshare.service: shop
      netshare.port: "80"
      netshare.to: "8080"
    healthcheck:
      test: ["CMD-SHELL", "/bin/busybox grep -q ':1F90 00000000:0000 0A' /proc/net/tcp"]
      interval: 200ms
"""


class Project:
    """A Compose project in a folder."""

    def __init__(self, admin: Admin, folder: Path) -> None:
        self._admin = admin
        self._folder = folder
        self.release("1")

    def release(self, number: str) -> None:
        """Write the file anew, as a deployment does."""
        content = FILE.format(image=image.NAME, release=number)
        (self._folder / "docker-compose.yml").write_text(content, encoding="ascii")

    def compose(self, *words: str) -> str:
        """Run Compose in the project's folder, as its users do."""
        done = subprocess.run(
            ["docker-compose", *words],
            cwd=self._folder,
            env=self._admin.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done
        return done.stdout + done.stderr

    def releases(self) -> dict[str, str]:
        """Say which release each replica is of."""
        found = {}
        for each in self._admin.lab.docker.containers.list(all=True):
            variables = dict(v.split("=", 1) for v in each.attrs["Config"]["Env"])
            found[str(each.name)] = variables["RELEASE"]
        return found


@pytest.fixture
def project(admin: Admin, tmp_path: Path) -> Project:
    require(program("docker-compose"))
    folder = tmp_path / "myshop"
    folder.mkdir()
    made = Project(admin, folder)
    made.compose("up", "-d", "--scale", "web=3")
    return made


def test_new_ones_by_its_files_and_compose_finds_its_world_in_order(admin: Admin, project: Project) -> None:
    admin.start_agent()
    eventually(lambda: len(admin.requests(60).answers) == 3)
    project.release("2")
    with Load(admin.lab.client, admin.lab.at(80), total=20_000, rate=200, timeout=5) as sending:
        done = admin.netshare("rollout", "shop", "--drain", "1s")
        sent = sending.stop()
    assert done.code == 0, done
    assert sent.failures == ()
    assert len(sent.answers) == 6
    after = project.releases()
    assert set(after.values()) == {"2"}
    assert {name.rpartition("_")[2].rpartition("-")[2] for name in after} == {"4", "5", "6"}
    before = {each.id for each in admin.lab.docker.containers.list()}
    project.compose("up", "-d", "--scale", "web=3")  # nothing to do: all of them are what its files say
    assert {each.id for each in admin.lab.docker.containers.list(all=True)} == before
    project.compose("up", "-d", "--scale", "web=2")
    assert len(project.releases()) == 2
    project.compose("up", "-d", "--scale", "web=3")
    assert len(project.releases()) == 3


def test_a_project_that_is_gone_or_an_image_said_by_hand(admin: Admin, project: Project) -> None:
    admin.start_agent()
    eventually(lambda: len(admin.requests(60).answers) == 3)
    refused = admin.netshare("rollout", "shop", "--image", "other")
    assert refused.code == 2
    assert "docker-compose.yml" in refused.err
    (project._folder / "docker-compose.yml").unlink()  # noqa: SLF001 (it is this test's)
    gone = admin.netshare("rollout", "shop")
    assert gone.code == 1
    assert "is not where its containers say" in gone.err
    assert set(project.releases().values()) == {"1"}

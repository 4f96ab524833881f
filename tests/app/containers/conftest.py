"""The workload by Compose in the Docker lab: three replicas, PostgreSQL and the slow API, and netshare on the host."""

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker.models.containers import Container

from app.lab.postgres import programs
from tests.app.containers import compose, images
from tests.app.containers.compose import Compose
from tests.docker.admin import Admin
from tests.docker.hints import eventually
from tests.docker.lab import DockerLab
from tests.prerequisites import program, require

PROJECT = "shop"
REPLICAS = 3

_APP = Path(__file__).parents[3] / "app"


@dataclass(frozen=True, slots=True)
class Workload:
    """What runs, who looks after it, and how it was started."""

    lab: DockerLab
    admin: Admin
    compose: Compose

    def containers(self, service: str) -> list[Container]:
        """List a service's containers."""
        labels = [f"com.docker.compose.project={PROJECT}", f"com.docker.compose.service={service}"]
        found: list[Container] = self.lab.docker.containers.list(filters={"label": labels})
        return found


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workload]:
    require(*map(program, ("gcc", "busybox", "iptables", "nft", "ss", "setpriv", "dpkg-query")))
    require(None if programs() else "needs the program postgres")
    require(None if compose.command() else "needs the program docker-compose")
    folder = tmp_path_factory.mktemp("app") / "app"
    shutil.copytree(_APP, folder, ignore=shutil.ignore_patterns("__pycache__"))
    with DockerLab() as lab:
        with ThreadPoolExecutor(1) as meanwhile:
            wheels = meanwhile.submit(images.fetch_wheels, folder / "wheels")
            images.import_base(lab.docker)
            images.build_postgres(lab.docker)
            wheels.result()
        environment = {"DOCKER_HOST": lab.url, "BASE": images.BASE, "POSTGRES_IMAGE": images.POSTGRES}
        project = Compose(PROJECT, folder, environment)
        project("build", "web")
        project("up", "--detach", "--scale", f"web={REPLICAS}", "web")
        # An Admin's directories must be short: netshare's socket is in one.
        with tempfile.TemporaryDirectory(prefix="app-admin-") as directory:
            admin = Admin(lab, Path(directory))
            try:
                admin.start_agent()  # the labels in compose.yaml do the rest
                eventually(lambda: "web" in admin.netshare("list").out)
                eventually(lambda: [each["state"] for each in admin.status().values()] == ["ready"] * REPLICAS)
                yield Workload(lab, admin, project)
            finally:
                admin.finish()

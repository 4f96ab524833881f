"""The workload in app/ there: three replicas by Compose, PostgreSQL behind them, attached by labels alone."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from app.lab.postgres import programs
from tests.app.containers import compose, images
from tests.app.containers.compose import Compose
from tests.prerequisites import program, require
from tests.vm.machines import CLIENT, WEB, Pair, eventually

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(3000)]

APP = Path(__file__).parents[2] / "app"
REPLICAS = 3
PATIENT = """\
services:
  web: {healthcheck: &patient {interval: 20s, timeout: 60s, retries: 30}}
  slow-api: {healthcheck: *patient}
  postgres: {healthcheck: *patient}
"""
"""A check is a Python that starts: for some machines more than the 3 s that it has on others."""


@pytest.fixture
def engine(fresh: Pair, tmp_path: Path) -> Iterator[str]:
    """The host's Docker, as it is reached from here: images are made of this machine's files."""
    socket = tmp_path / "docker.sock"
    with fresh.host.forwarded("/run/docker.sock", socket):
        yield f"unix://{socket}"


def test_three_replicas_a_database_and_labels(fresh: Pair, engine: str, tmp_path: Path) -> None:
    require(program("dpkg-query"), None if programs() else "needs the program postgres")
    require(None if compose.command() else "needs the program docker-compose")
    fresh.netshare("detach", "web")
    fresh.host.must("docker", "rm", "--force", "web-1", "web-2", "web-3")
    folder = tmp_path / "app"
    shutil.copytree(APP, folder, ignore=shutil.ignore_patterns("__pycache__"))
    images.fetch_wheels(folder / "wheels")
    patient = tmp_path / "patient.yaml"
    patient.write_text(PATIENT, encoding="utf-8")
    with closing(docker.DockerClient(engine, timeout=900)) as client:
        images.import_base(client)
        images.build_postgres(client)
    project = Compose(
        "shop",
        folder,
        {
            "DOCKER_HOST": engine,
            "BASE": images.BASE,
            "POSTGRES_IMAGE": images.POSTGRES,
            "COMPOSE_HTTP_TIMEOUT": "900",
        },
        overruling=patient,
        seconds=1500,
    )
    project("build", "web")
    project("up", "--detach", "--scale", f"web={REPLICAS}", "web")
    # Three that start at once, and are asked by three more programs whether they have, take minutes where it is slow.
    eventually(lambda: len(fresh.count(30, f"{WEB}whoami").answers) >= REPLICAS, patience=900)
    eventually(fresh.is_ready)

    answers = [json.loads(answer) for answer in fresh.count(60, f"{WEB}whoami").answering()]
    assert len({answer["replica"] for answer in answers}) == REPLICAS
    assert {answer["client"] for answer in answers} == {CLIENT}
    (answer,) = fresh.count(1, f"{WEB}db?delay=0.1").answering()
    assert json.loads(answer)["replica"] in {answer["replica"] for answer in answers}

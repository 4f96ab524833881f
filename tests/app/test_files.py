"""What is written twice agrees, and what the Compose file promises is in it."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.serve.options import Kind
from tests.app.containers import compose
from tests.prerequisites import require

pytestmark = pytest.mark.app

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"


def canonical(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]).lower()


def pins(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {canonical(line): line for line in lines if line and not line.startswith("#")}


def test_the_image_installs_the_extra_at_the_versions_that_are_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {canonical(requirement) for requirement in project["optional-dependencies"]["app"]}
    required = pins(APP / "requirements.txt")
    assert wanted <= required.keys()
    assert required.items() <= pins(ROOT / "constraints.txt").items()


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The Compose file as Compose itself reads it, with every profile, as YAML's simplest part."""
    command = compose.command()
    require(None if command else "needs the program docker-compose")
    assert command is not None
    profiles = [word for kind in [*Kind, "nginx", "nginx-uwsgi"] for word in ("--profile", str(kind))]
    done = subprocess.run(
        [*command, "--file", str(APP / "compose.yaml"), *profiles, "config"], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = {}
    part = ""
    for line in done.stdout.splitlines():
        if not line.startswith(" "):
            part = line
        elif part == "services:" and (heading := re.fullmatch(r"  ([\w-]+):", line)):
            found[heading[1]] = []
        elif part == "services:":
            found[list(found)[-1]].append(line.strip())
    return found


def test_every_server_is_a_service_and_none_publishes_a_port(services: dict[str, list[str]]) -> None:
    assert {*Kind} - {Kind.PYWSGI} <= services.keys()
    assert {"web", "slow-api", "postgres", "nginx", "nginx-uwsgi"} <= services.keys()
    assert [name for name, lines in services.items() if "ports:" in lines] == []


def test_every_server_has_labels_with_a_port_of_its_own(services: dict[str, list[str]]) -> None:
    ports = {}
    for name, lines in services.items():
        labels = dict(re.findall(r"^(netshare\.\w+): ['\"]?([\w-]+)", "\n".join(lines), re.MULTILINE))
        if labels:
            assert labels.keys() == {"netshare.service", "netshare.port", "netshare.to"}
            assert labels["netshare.service"] == name
            ports[name] = labels["netshare.port"]
    assert ports["web"] == "80"
    assert {str(kind) for kind in Kind} - {"pywsgi"} | {"web", "nginx", "nginx-uwsgi"} == ports.keys()
    assert len(set(ports.values())) == len(ports)

"""A dockerd for all tests of this folder, and an empty one for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.admin import Admin
from tests.docker.lab import DockerLab
from tests.prerequisites import program, require


@pytest.fixture(scope="session")
def docker_session() -> Iterator[DockerLab]:
    require(*map(program, ("gcc", "busybox", "iptables", "nft", "ss", "setpriv")))
    with DockerLab() as lab:
        yield lab


@pytest.fixture
def docker_lab(docker_session: DockerLab) -> Iterator[DockerLab]:
    """A host with Docker and no container, and a client outside."""
    yield docker_session
    docker_session.clear()


@pytest.fixture
def admin(docker_lab: DockerLab, tmp_path: Path) -> Iterator[Admin]:
    """Someone with root on a host where nothing is attached; afterwards nothing of netshare's is left in the kernel."""
    admin = Admin(docker_lab, tmp_path)
    yield admin
    admin.finish()
    assert "netshare" not in "".join(admin.firewall().values())

"""A Podman for the tests of this folder, and an empty one for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.podman.admin import PodmanAdmin
from tests.podman.lab import PodmanLab
from tests.prerequisites import program, require


@pytest.fixture(scope="session")
def podman_session() -> Iterator[PodmanLab]:
    require(*map(program, ("gcc", "busybox", "iptables", "nft", "crun", "catatonit")))
    with PodmanLab() as lab:
        yield lab


@pytest.fixture
def podman_lab(podman_session: PodmanLab) -> Iterator[PodmanLab]:
    """A host with Podman and no container, and a client outside."""
    yield podman_session
    podman_session.clear()


@pytest.fixture
def admin(podman_lab: PodmanLab, tmp_path: Path) -> Iterator[PodmanAdmin]:
    """Someone with root on a host where nothing is attached; afterwards nothing of netshare's is left in the kernel."""
    admin = PodmanAdmin(podman_lab, tmp_path)
    yield admin
    admin.finish()
    assert "netshare" not in "".join(admin.firewall().values())

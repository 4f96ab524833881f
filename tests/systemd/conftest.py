"""One machine for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.prerequisites import program, require
from tests.systemd.machine import Machine


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A machine with three replicas of web, which their engine starts again after a reboot, and no agent yet."""
    require(*map(program, ("systemd-nspawn", "dockerd", "gcc", "busybox", "iptables", "nsenter", "setpriv")))
    with Machine() as machine:
        yield machine

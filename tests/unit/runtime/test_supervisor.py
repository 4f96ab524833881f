import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from netshare.runtime.supervisor import Supervisor


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(60)
        yield listening


def heard(systemd: socket.socket) -> list[str]:
    return systemd.recv(4096).decode().splitlines()


def test_it_is_ready_when_a_reconcile_first_went_well(systemd: socket.socket) -> None:
    told = Supervisor({"NOTIFY_SOCKET": systemd.getsockname()})
    told.reconciled("failed: the kernel refused\nit", went_well=False)
    assert heard(systemd) == ["WATCHDOG=1", "STATUS=failed: the kernel refused it"]
    told.reconciled("services 1", went_well=True)
    assert heard(systemd) == ["WATCHDOG=1", "READY=1", "STATUS=services 1"]
    told.reconciled("services 1", went_well=True)
    assert heard(systemd) == ["WATCHDOG=1"]
    told.stopping()
    assert heard(systemd)[0] == "STOPPING=1"


def test_an_abstract_address() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        name = f"netshare-test-{os.getpid()}"
        listening.bind(f"\0{name}")
        listening.settimeout(60)
        Supervisor({"NOTIFY_SOCKET": f"@{name}"}).stopping()
        assert heard(listening)[0] == "STOPPING=1"


def test_what_it_starts_is_not_it(systemd: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "4000000", "PATH": "/bin"}
    assert Supervisor(environment).patience == pytest.approx(4)
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "vsock:2:1234"}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_with_nobody_to_tell_it_goes_on(environment: dict[str, str]) -> None:
    told = Supervisor(environment)
    told.reconciled("services 1", went_well=True)
    told.stopping()
    assert told.patience is None


@pytest.mark.parametrize("value", ["", "0", "soon", "-5"])
def test_no_watchdog(value: str) -> None:
    assert Supervisor({"WATCHDOG_USEC": value}).patience is None


def test_another_processs_watchdog() -> None:
    assert Supervisor({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid() + 1)}).patience is None
    assert Supervisor({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}).patience == pytest.approx(1)

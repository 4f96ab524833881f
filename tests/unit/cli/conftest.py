"""The command line over a host of fakes: `netshare.wiring` hands the fakes out."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from netshare import wiring
from netshare.cli import app
from netshare.operations.watching import Watch
from netshare.runtime import capabilities
from tests.fakes.doors import Doors
from tests.fakes.engine import container
from tests.fakes.host import FakeHost, fake_host


@dataclass(frozen=True)
class Outcome:
    """What a command did to its caller."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        assert found["schema"] == 1
        return found


Netshare = Callable[..., Outcome]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    """A host that runs three containers called web, whatever the machine, and whoever runs the test."""
    fake = fake_host(*(container(f"shop-web-{n}", f"172.18.0.{n + 2}", labels=WEB) for n in (1, 2, 3)))
    monkeypatch.setattr(wiring, "host", lambda: fake.host)
    monkeypatch.setattr(wiring, "agent_control", lambda: fake.agent)
    monkeypatch.setattr(wiring, "sockets", lambda: fake.sockets)
    monkeypatch.setattr(wiring, "connections", lambda: fake.connections)
    monkeypatch.setattr(wiring, "probe", Doors)
    monkeypatch.setattr(wiring, "watch", lambda name: Watch(fake.host, fake.agent, fake.connections, time, name=name))
    monkeypatch.setattr(capabilities, "has_net_admin", lambda: True)
    return fake


WEB = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}


@pytest.fixture
def netshare(fake: FakeHost, capsys: pytest.CaptureFixture[str]) -> Netshare:  # noqa: ARG001 (wired by being there)
    """Run a command line."""

    def run(*words: str) -> Outcome:
        capsys.readouterr()
        code = app.run(words)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run

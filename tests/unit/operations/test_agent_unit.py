from pathlib import Path

import pytest

from netshare.errors import NetshareError
from netshare.operations.agent_unit import UnitChange, Wanted, install, uninstall
from tests.fakes.host import FakeAgent, fake_host

WANTED = Wanted("[Service]\nExecStart=/new agent\n")
PATH = Path("/etc/systemd/system/netshare.service")


class FakeManager:
    """A systemd in memory."""

    path = PATH

    def __init__(self, *, own: str | None = None, packaged: str | None = None) -> None:
        self.here = True
        self.unit = own
        self.package = packaged
        self.active = False
        self.enabled = False
        self.did: list[str] = []

    def is_here(self) -> bool:
        return self.here

    def written(self) -> str | None:
        return self.unit

    def packaged(self) -> str | None:
        return self.package

    def write(self, unit: str) -> None:
        self.unit = unit

    def remove(self) -> None:
        self.unit = None

    def is_active(self) -> bool:
        return self.active

    def is_enabled(self) -> bool:
        return self.enabled

    def main_pid(self) -> int:
        return 42 if self.active else 0

    def do(self, *words: str) -> None:
        self.did.append(" ".join(words))
        match words[0]:
            case "start" | "restart":
                assert self.unit or self.package
                self.active = True
            case "stop":
                self.active = False
            case "enable" | "disable":
                self.enabled = words[0] == "enable"


@pytest.fixture
def agent() -> FakeAgent:
    return fake_host().agent


def installed(manager: FakeManager, agent: FakeAgent, wanted: Wanted = WANTED) -> UnitChange:
    return install(manager, agent, lambda: wanted)


def test_the_first_time_everything_is_done(agent: FakeAgent) -> None:
    manager = FakeManager()
    change = installed(manager, agent)
    assert change.done == (f"wrote {PATH}", "enabled: it starts at boot", "started (pid 42)")
    assert manager.did == ["daemon-reload", "enable --quiet netshare.service", "start netshare.service"]
    assert manager.unit == WANTED.text


def test_a_second_time_does_nothing(agent: FakeAgent) -> None:
    manager = FakeManager()
    installed(manager, agent)
    manager.did.clear()
    agent.running_pid = 42
    assert installed(manager, agent).done == ()
    assert manager.did == []


def test_a_unit_that_changed_is_restarted(agent: FakeAgent) -> None:
    manager = FakeManager()
    installed(manager, agent)
    manager.unit = "[Service]\nExecStart=/old agent\n"
    assert installed(manager, agent).done == (f"wrote {PATH}", "restarted (pid 42)")


def test_a_packages_unit_that_is_the_same_is_used_as_it_is(agent: FakeAgent) -> None:
    manager = FakeManager(packaged=WANTED.text)
    assert installed(manager, agent).done == ("enabled: it starts at boot", "started (pid 42)")
    assert manager.unit is None


def test_it_takes_the_place_of_one_that_was_written(agent: FakeAgent) -> None:
    manager = FakeManager(own="[Service]\nExecStart=/opt/other agent\n", packaged=WANTED.text)
    manager.active = manager.enabled = True
    done = installed(manager, agent).done
    assert done == (f"removed {PATH}: the package's own unit takes its place", "restarted (pid 42)")
    assert manager.unit is None
    assert installed(manager, agent).done == ()


@pytest.mark.parametrize("start", ["/usr/bin/other agent", "/new agent\nEnvironment=NETSHARE_STATE_DIR=/srv"])
def test_a_packages_unit_that_differs_is_overridden(agent: FakeAgent, start: str) -> None:
    manager = FakeManager(packaged=f"[Service]\nExecStart={start}\n")
    assert installed(manager, agent).done[0] == f"wrote {PATH}"


def test_an_agent_by_hand_has_to_go_first(agent: FakeAgent) -> None:
    manager, agent.running_pid = FakeManager(), 4242
    with pytest.raises(NetshareError, match="pid 4242") as raised:
        installed(manager, agent)
    assert "kill 4242" in str(raised.value.hint)
    assert (manager.unit, manager.did) == (None, [])


def test_no_systemd(agent: FakeAgent) -> None:
    manager = FakeManager()
    manager.here = False
    with pytest.raises(NetshareError, match="not started by systemd") as raised:
        installed(manager, agent)
    assert raised.value.hint is not None
    with pytest.raises(NetshareError, match="not started by systemd"):
        uninstall(manager)
    assert manager.did == []


def test_who_might_change_what_runs_as_root_is_told(agent: FakeAgent) -> None:
    wanted = Wanted(WANTED.text, (Path("/home/alice"),))
    assert "/home/alice is not root's alone" in installed(FakeManager(), agent, wanted).warnings[0]


def test_uninstall_takes_back_all_of_it(agent: FakeAgent) -> None:
    manager = FakeManager()
    installed(manager, agent)
    done = uninstall(manager).done
    assert [each.split(":")[0].split()[0] for each in done] == ["stopped", "disabled", "removed"]
    assert (manager.unit, manager.active, manager.enabled) == (None, False, False)
    assert uninstall(manager).done == ()


def test_uninstall_leaves_a_packages_unit_to_its_package(agent: FakeAgent) -> None:
    manager = FakeManager(packaged=WANTED.text)
    installed(manager, agent)
    assert len(uninstall(manager).done) == 2
    assert (manager.active, manager.enabled) == (False, False)

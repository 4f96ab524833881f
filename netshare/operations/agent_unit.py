"""``agent install`` and ``agent uninstall``: have systemd start the agent at boot and keep it running, or no longer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from netshare.errors import NetshareError
from netshare.operations.control import AgentControl


class Manager(Protocol):
    """The service manager of this host, as far as netshare's unit is concerned."""

    path: Path

    def is_here(self) -> bool:
        """Whether it started this host."""

    def written(self) -> str | None:
        """Read the unit that was written here before; ``None``: there is none."""

    def packaged(self) -> str | None:
        """Read the unit that a package brought; ``None``: none did."""

    def write(self, unit: str) -> None:
        """Write the unit."""

    def remove(self) -> None:
        """Remove the unit that was written."""

    def is_active(self) -> bool:
        """Whether the agent runs as a unit."""

    def is_enabled(self) -> bool:
        """Whether it is started at boot."""

    def main_pid(self) -> int:
        """Give the process id of the agent that runs as a unit; 0: none does."""

    def do(self, *words: str) -> None:
        """Have systemctl do something."""


@dataclass(frozen=True, slots=True)
class UnitChange:
    """What was done, in order; nothing where all was as it should be."""

    unit: Path
    done: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """The unit to be installed: its text, and the directories of others that what it starts is in."""

    text: str
    owned_by_others: tuple[Path, ...] = ()


def install(manager: Manager, agent: AgentControl, unit: Callable[[], Wanted]) -> UnitChange:
    """Write the unit, have it started now and at every boot. What is so already stays; a changed unit is restarted.

    Where the package that brought this netshare has brought the very same unit, that is the one to be used.

    Raises:
        NetshareError: there is no systemd, another agent runs, or a unit is there that is somebody else's.

    """
    _require(manager)
    _refuse_a_second(manager, agent)
    wanted = unit()
    done = _placed(manager, wanted)
    is_new = bool(done)
    if not manager.is_enabled():
        manager.do("enable", "--quiet", manager.path.name)
        done.append("enabled: it starts at boot")
    if not manager.is_active():
        manager.do("start", manager.path.name)
        done.append(f"started (pid {manager.main_pid()})")
    elif is_new:
        manager.do("restart", manager.path.name)
        done.append(f"restarted (pid {manager.main_pid()})")
    warnings = tuple(
        f"{path} is not root's alone, and what is in it runs as root: who may write there can become root"
        for path in wanted.owned_by_others
    )
    return UnitChange(manager.path, tuple(done), warnings)


def uninstall(manager: Manager) -> UnitChange:
    """Stop the agent, and have it started no more; the kernel goes on with what it holds.

    Raises:
        NetshareError: there is no systemd, or the unit is somebody else's.

    """
    _require(manager)
    there = manager.written()
    done: list[str] = []
    if there is None and manager.packaged() is None:
        return UnitChange(manager.path, ())
    if manager.is_active():
        manager.do("stop", manager.path.name)
        done.append("stopped: the kernel goes on with what it holds (`netshare reset` removes that)")
    if manager.is_enabled():
        manager.do("disable", "--quiet", manager.path.name)
        done.append("disabled: it does not start at boot")
    if there is not None:
        manager.remove()
        manager.do("daemon-reload")
        done.append(f"removed {manager.path}")
    return UnitChange(manager.path, tuple(done))


def _require(manager: Manager) -> None:
    if not manager.is_here():
        raise NetshareError(
            "this host was not started by systemd",
            hint="have whatever supervises services here (OpenRC, runit, a container's entrypoint) start "
            "`netshare agent`: it stays in the foreground and logs to stderr",
        )


def _refuse_a_second(manager: Manager, agent: AgentControl) -> None:
    pid = agent.pid()
    if pid is not None and pid != manager.main_pid():
        raise NetshareError(
            f"an agent runs already, and not as a unit (pid {pid})",
            hint=f"stop it first: kill {pid}; the kernel goes on with what it holds",
        )


def _placed(manager: Manager, wanted: Wanted) -> list[str]:
    """See that the unit is there: as the package's own, which upgrades renew, or else as one that is written."""
    there, is_packaged = manager.written(), manager.packaged() == wanted.text
    if there == (None if is_packaged else wanted.text):
        return []
    if is_packaged:
        manager.remove()
        done = f"removed {manager.path}: the package's own unit takes its place"
    else:
        manager.write(wanted.text)
        done = f"wrote {manager.path}"
    manager.do("daemon-reload")
    return [done]

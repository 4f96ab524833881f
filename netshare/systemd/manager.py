"""``systemctl`` and the directories of unit files, as far as netshare's own unit is concerned."""

from pathlib import Path

from netshare.errors import NetshareError, NotPermittedError
from netshare.runtime import command

UNIT = "netshare.service"
MARK = "# Written by `netshare agent install`. Changes of your own: systemctl edit netshare\n"
"""The first line of a unit that may be replaced and removed."""

_BOOTED = Path("/run/systemd/system")  # sd_booted(3)
_TIMEOUT = 240.0  # longer than a start may take
_OWN = Path("/etc/systemd/system")
_OF_PACKAGES = tuple(map(Path, ("/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")))


class Systemd:
    """The systemd of this host."""

    def __init__(self, own: Path = _OWN, of_packages: tuple[Path, ...] = _OF_PACKAGES, booted: Path = _BOOTED) -> None:
        """Nothing is looked at before it is asked for."""
        self.path = own / UNIT
        self._of_packages = of_packages
        self._booted = booted

    def is_here(self) -> bool:
        """Whether it started this host."""
        return self._booted.is_dir()

    def written(self) -> str | None:
        """Read the unit that was written here before; ``None``: there is none.

        Raises:
            NetshareError: one is there that is not netshare's, or can't be read.

        """
        if self.path.is_symlink():
            raise NetshareError(
                f"{self.path} is a link to {self.path.readlink()}",
                hint=f"if it is masked: systemctl unmask {UNIT}; else remove the link",
            )
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _no_access(self.path, "read", error) from error
        if not text.startswith(MARK):
            raise NetshareError(
                f"{self.path} was not written by netshare", hint="move it away, if it may go; netshare leaves it alone"
            )
        return text.removeprefix(MARK)

    def packaged(self) -> str | None:
        """Read the unit that a package brought; ``None``: none did."""
        for directory in self._of_packages:
            path = directory / UNIT
            if path.is_file():
                return path.read_text(encoding="utf-8")
        return None

    def write(self, unit: str) -> None:
        """Write the unit, wholly or not at all."""
        new = self.path.with_name(f".{self.path.name}.new")
        try:
            new.write_text(MARK + unit, encoding="utf-8")
            new.chmod(0o644)
            new.replace(self.path)
        except OSError as error:
            raise _no_access(self.path, "written", error) from error

    def remove(self) -> None:
        """Remove the unit that was written."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise _no_access(self.path, "removed", error) from error

    def is_active(self) -> bool:
        """Whether the agent runs as a unit, or is about to."""
        return self._asked("is-active") in ("active", "activating", "reloading")

    def is_enabled(self) -> bool:
        """Whether it is started at boot."""
        return self._asked("is-enabled") == "enabled"

    def main_pid(self) -> int:
        """Give the process id of the agent that runs as a unit; 0: none does."""
        pid = self._systemctl("show", "--property=MainPID", "--value", UNIT).out.strip()
        return int(pid) if pid.isdecimal() else 0

    def do(self, *words: str) -> None:
        """Have systemctl do something.

        Raises:
            NetshareError: it could not, in its own words.

        """
        ended = self._systemctl(*words)
        if ended.code != 0:
            hint = f"journalctl -u {UNIT} -n 20 tells what the agent met"
            raise NetshareError(f"systemctl {' '.join(words)}: {ended.last_words}", hint=hint)

    def _asked(self, question: str) -> str:
        return self._systemctl(question, UNIT).out.strip()

    @staticmethod
    def _systemctl(*words: str) -> command.Ended:
        path = command.find("systemctl")
        if path is None:
            raise NetshareError("systemctl is not installed", hint="install the package systemd")
        try:
            return command.run(path, "--no-pager", *words, timeout=_TIMEOUT)
        except TimeoutError as error:
            raise NetshareError(str(error), hint=f"systemctl status {UNIT} tells what it waits for") from error


def _no_access(path: Path, done: str, error: OSError) -> NotPermittedError:
    return NotPermittedError(f"{path} can't be {done}: {error.strerror}", hint="run it as root (sudo)")

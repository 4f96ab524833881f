"""The agent's unit file, for the netshare that writes it: wherever it is installed, it is what the unit starts.

The sandbox follows from where that is. What it may do otherwise is in ``netshare.service`` beside this file, with its
reasons; nothing here reads more of the system than who owns netshare's own files.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from netshare.core.parse import shown
from netshare.errors import NetshareError

PASSED_ON = (
    "NETSHARE_STATE_DIR",
    "NETSHARE_RUNTIME_DIR",
    "NETSHARE_DRIVER",
    "NETSHARE_METRICS",
    "DOCKER_HOST",
    "CONTAINER_HOST",
)
"""What the agent has to be told as well, or it would look elsewhere than the verbs."""

_CAPABILITIES = ("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_NET_BIND_SERVICE")
_READ_OTHERS = "CAP_DAC_READ_SEARCH"
_HOMES = ("/root", "/home", "/run/user")
_PASSING = ("/tmp", "/var/tmp", "/dev/shm", "/run")  # noqa: S108 (where not to be)
_WRITABLE_BY_OTHERS = 0o022
_BLANK = re.compile(r"@(PROGRAM|ENVIRONMENT|CAPABILITIES|HOME|WRITABLE)@")
_SPECIAL = re.compile(r"""[\s"'\\%$;#]""")


@dataclass(frozen=True, slots=True)
class Program:
    """How netshare is started, and the directories that takes: its own, its environment's, its Python's."""

    command: tuple[str, ...]
    places: tuple[Path, ...]

    def owned_by_others(self) -> tuple[Path, ...]:
        """Name the directories that others than root may change, themselves or by one above them."""
        return tuple(dict.fromkeys(path for path in _with_parents(self.places) if _is_others(path)))


def render(program: Program, environment: Mapping[str, str]) -> str:
    """Write the unit.

    Raises:
        NetshareError: netshare is where a unit can't start it from, or something has a sign that no unit can have.

    """
    passing = next((place for place in program.places if _is_below(place, _PASSING)), None)
    if passing is not None:
        raise NetshareError(
            f"netshare is in {passing}, which is emptied at a reboot",
            hint="install it to stay, as in: python3 -m venv /opt/netshare && /opt/netshare/bin/pip install …",
        )
    own = {name: environment[name] for name in PASSED_ON if environment.get(name)}
    directories = [own[name] for name in ("NETSHARE_STATE_DIR", "NETSHARE_RUNTIME_DIR") if name in own]
    is_at_home = any(_is_below(place, _HOMES) for place in program.places)
    is_others = any(path.stat().st_uid != 0 for path in _existing(program.places))
    values = {
        "PROGRAM": _command(program),
        "ENVIRONMENT": "".join(
            f"Environment={_quoted(f'{name}={value}', always=True)}\n" for name, value in own.items()
        ),
        "CAPABILITIES": " ".join((*_CAPABILITIES, _READ_OTHERS) if is_others else _CAPABILITIES),
        "HOME": "read-only" if is_at_home else "yes",
        "WRITABLE": " ".join(("-/run/xtables.lock", *map(_quoted, directories))),
    }
    text = files(__package__).joinpath("netshare.service").read_text(encoding="utf-8")
    return _BLANK.sub(lambda blank: values[blank[1]], text)  # in one go: what is filled in is no blank itself


def _command(program: Program) -> str:
    """Write a command line, the one place where systemd expands variables (systemd.service(5))."""
    return " ".join(_quoted(word).replace("$", "$$") for word in program.command)


def _quoted(word: str, *, always: bool = False) -> str:
    """Write a word so that systemd reads it as one, and expands no specifier in it (systemd.syntax(7)).

    Raises:
        NetshareError: it has a control character: a line would end there, and another setting begin.

    """
    if not word.isprintable():
        raise NetshareError(f"{shown(word)} can't be written into a unit", hint="control characters have to go")
    safe = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{safe}"' if always or not word or _SPECIAL.search(word) else safe


def _is_below(path: Path, directories: Iterable[str]) -> bool:
    return any(path.is_relative_to(directory) for directory in directories)


def _existing(places: Iterable[Path]) -> list[Path]:
    return [place for place in places if place.exists()]


def _with_parents(places: Iterable[Path]) -> list[Path]:
    return [path for place in _existing(places) for path in (place, *place.parents)]


def _is_others(path: Path) -> bool:
    status = path.stat()
    return status.st_uid != 0 or bool(status.st_mode & _WRITABLE_BY_OTHERS and not status.st_mode & 0o1000)

"""What a test needs of the machine, and how it says so when that is missing.

A check answers `None`, or in words why its prerequisite is missing; `require` skips the test with these words. In CI
(``CI=true``) every skip, this one or any other, is turned into a failure by ``tests/conftest.py``: a missing
prerequisite can't pass unseen.
"""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

# Where programs are that PATH leads past: an ordinary user's, or any (what Debian keeps to Podman and to a PostgreSQL).
_BEYOND_PATH = ("/usr/sbin", "/sbin", "/usr/lib/podman", *map(str, Path("/usr/lib/postgresql").glob("*/bin")))

_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}


def require(*missing: str | None) -> None:
    """Skip the running test unless every check said `None`: ``require(root(), program("nft"))``."""
    if reasons := [reason for reason in missing if reason is not None]:
        pytest.skip("; ".join(reasons))


def in_ci() -> bool:
    """Whether nothing may be skipped."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def root() -> str | None:
    """Check for the machine's own root: in a user namespace, root does not own the machine's devices and cgroups."""
    mapped = Path("/proc/self/uid_map").read_text(encoding="ascii").split()[:2] == ["0", "0"]
    return None if os.geteuid() == 0 and mapped else "needs root"


def capabilities(*names: str) -> str | None:
    """Check for effective capabilities, by name."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    held = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), base=16)
    lacking = [name for name in names if not held & 1 << _CAPABILITIES[name]]
    return f"needs {' and '.join(lacking)}" if lacking else None


def network_namespaces() -> str | None:
    """Check that this process may make network namespaces and program them, as root or as root of a user namespace."""
    if capabilities("CAP_SYS_ADMIN", "CAP_NET_ADMIN") is None:
        return None
    return user_namespaces()


def program(name: str) -> str | None:
    """Check for a program, also where PATH does not lead."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_BEYOND_PATH))
    return None if shutil.which(name, path=path) else f"needs the program {name}"


def file(path: str) -> str | None:
    """Check for a file that some package brings."""
    return None if Path(path).is_file() else f"needs {path}"


def virtual_machines() -> str | None:
    """Check for the machines that scripts/vm makes for a run of tests."""
    return None if os.environ.get("NETSHARE_VM") else "needs virtual machines: run by `scripts/vm test`"


def legacy_iptables() -> str | None:
    """Check for the tools of legacy xtables, and for the lock they take (iptables/xshared.c)."""
    if missing := program("iptables-legacy-restore"):
        return missing
    return root() and "needs root, for the lock of legacy iptables"


@cache
def user_namespaces() -> str | None:
    """Check that the host lets an ordinary user be root of a namespace of their own."""
    command = ["unshare", "--user", "--map-root-user", "--net", "true"]
    missing = program(command[0])
    if missing is not None:
        return missing
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"needs root or user namespaces ({done.stderr.strip()})"

"""Where netshare keeps its files, by the environment it was started in."""

import os
from pathlib import Path
from urllib.parse import quote

STATE_DIR = Path("/var/lib/netshare")
RUNTIME_DIR = Path("/run/netshare")


def state_dir() -> Path:
    """Give the directory of what must outlive a reboot: definitions, rollouts."""
    return _from_environment("NETSHARE_STATE_DIR", STATE_DIR)


def services_dir(state: Path) -> Path:
    """Give the directory of service definitions."""
    return state / "services"


def rollouts_dir(state: Path) -> Path:
    """Give the directory of the rollouts there are."""
    return state / "rollouts"


def runtime_dir() -> Path:
    """Give the directory of what a reboot ends: the lock, the agent's socket."""
    return _from_environment("NETSHARE_RUNTIME_DIR", RUNTIME_DIR)


def lock_path(runtime: Path) -> Path:
    """Give the file whose lock guards every change of the definitions and of the kernel."""
    return runtime / "lock"


def health_path(runtime: Path) -> Path:
    """Give the file in which the agent tells the verbs what its probes found out."""
    return runtime / "health.json"


def drains_path(runtime: Path) -> Path:
    """Give the file of the drains there are."""
    return runtime / "drains.json"


def names_path(runtime: Path) -> Path:
    """Give the file in which shells find the names that they complete."""
    return runtime / "names.json"


def rollout_lock_path(runtime: Path, service: str) -> Path:
    """Give the file whose lock has whoever drives a service's rollout."""
    return runtime / f"rollout-{quote(service, safe='')}.lock"


def _from_environment(variable: str, default: Path) -> Path:
    # Absolute, so that the agent and a verb started elsewhere mean the same directory.
    return Path(os.environ.get(variable) or default).absolute()

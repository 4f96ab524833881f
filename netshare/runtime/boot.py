"""Time as the machine counts it from its start: nobody sets it, and it ends with a reboot."""

import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_time() -> float:
    """Seconds since the machine was started, suspended ones included (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Tell this start of the machine from all others: times of another one mean nothing (random(4))."""
    return _BOOT_ID.read_text(encoding="ascii").strip()

"""Taking privileges away from one thread."""

import ctypes
import os
from collections.abc import Callable

_VERSION_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
_LIBC = ctypes.CDLL(None, use_errno=True)


def without_privileges(function: Callable[[], object]) -> None:
    """Call a function once the calling thread has given up every capability, for good: call this in a new thread."""
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if _LIBC.capset(header, nothing):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    function()

"""Make synchronous code cooperative, or fail loudly: monkey patches must come before everything that uses them.

What a module copied before the patch (``from threading import Lock``) stays what it was, and blocks every greenlet of
the process for as long as one waits; nothing tells, it is only slow. So it is refused.
"""

import sys
import warnings

from gevent import monkey
from gevent.monkey import MonkeyPatchWarning

_TOO_EARLY = ("app.web", "app.wsgi", "flask", "psycopg2", "requests", "ssl", "urllib3", "werkzeug")
_PATCHED = ("_thread", "os", "queue", "select", "selectors", "socket", "ssl", "subprocess", "threading", "time")


class PatchedTooLateError(RuntimeError):
    """Something that must not have been was imported before the patch."""


def patch(*, psycopg: bool = True) -> None:
    """Patch the standard library and, by psycogreen, psycopg2, whose waiting is done in C.

    Gunicorn's gevent worker has patched the library by itself before it looks for an application; then it is seen to
    that it was all of it.

    Raises:
        PatchedTooLateError: it can't become right any more.

    """
    if monkey.is_module_patched("socket"):
        lacking = [name for name in _PATCHED if not monkey.is_module_patched(name)]
        if lacking:
            raise PatchedTooLateError(f"gevent has patched a part of the library only; not {', '.join(lacking)}")
    else:
        _refuse_early_imports()
        with warnings.catch_warnings():
            warnings.simplefilter("error", MonkeyPatchWarning)
            monkey.patch_all()
    if psycopg:
        from psycogreen.gevent import patch_psycopg  # noqa: PLC0415 (imports psycopg2, too early at the top)

        patch_psycopg()


def _refuse_early_imports() -> None:
    early = [name for name in _TOO_EARLY if name in sys.modules]
    if early:
        raise PatchedTooLateError(
            f"imported before gevent's patch: {', '.join(early)}. They keep what blocks. Import app.patched before "
            "anything else (and no gunicorn --preload)."
        )
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        raise PatchedTooLateError("threads were started before gevent's patch; they would wait for its locks for ever")

"""The drains, kept in one file of the runtime directory: they outlive the agent, and end with a reboot.

Unlike a hint, a drain is a wish: one that can't be read is not quietly forgotten, and its file never overwritten.
Writers hold netshare's lock (`netshare.runtime.lock`); readers need none, since the file changes only by rename.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from netshare.core.draining import Cause, Drain
from netshare.errors import DefinitionError, NetshareError, NotPermittedError
from netshare.runtime.boot import boot_id, boot_time
from netshare.runtime.directories import require_safe
from netshare.runtime.files import replace_file
from netshare.store.plain import NotPlainError, read_plain

_LARGEST = 1 << 26


class DrainStore:
    """The drains in one file. There is none while nothing drains."""

    def __init__(self, path: Path, boot: Callable[[], str] = boot_id, clock: Callable[[], float] = boot_time) -> None:
        self._path = path
        self._boot = boot
        self._clock = clock

    def now(self) -> float:
        """Tell the time that drains are in."""
        return self._clock()

    def load(self) -> Sequence[Drain]:
        """Read them; those of before a reboot are none.

        Raises:
            DefinitionError: what is there can't be used.
            NotPermittedError: this user may not read it.

        """
        content = self._content()
        if content is None:
            return ()
        from netshare.store import drains_schema as schema  # noqa: PLC0415 (pydantic takes 0.1 s to import)
        from netshare.store.newer import NewerSchemaError  # noqa: PLC0415 (likewise)

        try:
            boot, drains = schema.decode(content)
        except (NewerSchemaError, schema.InvalidDrainsError) as error:
            raise self._unusable(str(error)) from error
        return drains if boot == self._boot() else ()

    def save(self, drains: Sequence[Drain]) -> None:
        """Write these in place of all others.

        Raises:
            DefinitionError: what is there can't be used; it is left as it is.
            NetshareError: it can't be written.

        """
        self.load()
        try:
            if not drains:
                self._path.unlink(missing_ok=True)
                return
            from netshare.store import drains_schema as schema  # noqa: PLC0415 (pydantic takes 0.1 s to import)

            replace_file(self._path, schema.encode(self._boot(), drains), lasting=False)
        except OSError as error:
            raise self._failed(error, "written") from error

    def stopping(self, engine: str) -> dict[str, int]:
        """Name an engine's containers that were sent their stop signal, and when: nanoseconds since 1970.

        Drains that can't be read name none: `load` is who complains.
        """
        try:
            drains = self.load()
        except NetshareError:
            return {}
        start = time.time_ns() - int(self.now() * 1e9)
        return {
            drain.replica: start + int(drain.since * 1e9)
            for drain in drains
            if drain.engine == engine and drain.cause is Cause.STOP
        }

    def _content(self) -> bytes | None:
        require_safe(self._path.parent)
        try:
            found = read_plain(self._path, _LARGEST)
        except NotPlainError as error:
            raise self._unusable(str(error)) from error
        except OSError as error:
            raise self._failed(error, "read") from error
        return None if found is None else found[1]

    def _unusable(self, why: str) -> DefinitionError:
        return DefinitionError(
            f"the drains in {self._path} can't be used: {why}",
            hint=f"no replica counts as drained until that is mended: remove the file (rm {self._path}), and drain "
            "again what must be",
        )

    def _failed(self, error: OSError, done: str) -> NetshareError:
        kind = NotPermittedError if isinstance(error, PermissionError) else NetshareError
        return kind(
            f"{self._path} can't be {done}: {error.strerror}",
            hint="run netshare as root; NETSHARE_RUNTIME_DIR names the directory, which must have room left",
        )

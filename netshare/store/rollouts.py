"""The rollouts there are, a file each in a folder of the state directory: one that was begun outlives a reboot.

Writers hold netshare's lock (`netshare.runtime.lock`); readers need none, since a file changes only by rename.
"""

import os
from pathlib import Path
from urllib.parse import quote, unquote

from netshare.core.rollout import Rollout
from netshare.errors import DefinitionError, NetshareError, NotPermittedError
from netshare.runtime.directories import make, require_safe
from netshare.runtime.files import replace_file, sync_directory
from netshare.store.plain import NotPlainError, Signature, named, read_plain
from netshare.store.protocol import Rollouts

_SUFFIX = ".json"
_LARGEST = 1 << 22


class RolloutStore:
    """The rollouts in one folder. What was read is remembered for as long as its file stays the same."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[str, tuple[Signature, Rollout]] = {}

    def load(self) -> Rollouts:
        """Read every one; one that can't be read never hides the others.

        Raises:
            NetshareError: this user may not read them, or somebody else could have changed them.

        """
        known: dict[str, Rollout] = {}
        unreadable: dict[str, DefinitionError] = {}
        for name in self._names():
            try:
                found = self.get(name)
            except DefinitionError as error:
                unreadable[name] = error
            else:
                known |= {name: found} if found else {}
        return Rollouts(known, unreadable)

    def get(self, service: str) -> Rollout | None:
        """Read a service's, if there is one.

        Raises:
            DefinitionError: there is, and it can't be used.

        """
        path, (known, remembered) = self._path(service), self._read.get(service, (None, None))
        require_safe(self._directory)
        try:
            found = read_plain(path, _LARGEST, known)
        except NotPlainError as error:
            raise _unusable(path, str(error)) from error
        except OSError as error:
            raise _failed(path, error, "read") from error
        if found is None:
            return None
        signature, content = found
        if content is None:
            return remembered
        rollout = _decode(path, service, content)
        self._read[service] = (signature, rollout)
        return rollout

    def save(self, rollout: Rollout) -> None:
        """Write one in place of the one before it, wholly or not at all.

        Raises:
            DefinitionError: what is there can't be used; it is left as it is.
            NetshareError: it can't be written.

        """
        from netshare.store import rollout_schema as schema  # noqa: PLC0415 (pydantic takes 0.1 s to import)

        self.get(rollout.service)
        path = self._path(rollout.service)
        try:
            make(self._directory)
            replace_file(path, schema.encode(rollout), lasting=True)
        except OSError as error:
            raise _failed(path, error, "written") from error

    def delete(self, service: str) -> None:
        """Forget a service's; where there is none, that is no error.

        Raises:
            DefinitionError: it can't be used; it is left as it is.
            NetshareError: it can't be removed.

        """
        if self.get(service) is None:
            return
        path = self._path(service)
        try:
            path.unlink(missing_ok=True)
            sync_directory(self._directory)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _failed(path, error, "removed") from error

    def _names(self) -> list[str]:
        require_safe(self._directory)
        try:
            names = os.listdir(self._directory)  # noqa: PTH208 (names, not paths, are wanted)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _failed(self._directory, error, "read") from error
        found = sorted(name for name in names if name.endswith(_SUFFIX) and not name.startswith("."))
        return [unquote(name.removesuffix(_SUFFIX)) for name in found]

    def _path(self, service: str) -> Path:
        # '/' of PROJECT/NAME must not become a directory.
        return self._directory / f"{quote(service, safe='')}{_SUFFIX}"


def _decode(path: Path, service: str, content: bytes) -> Rollout:
    from netshare.store import rollout_schema as schema  # noqa: PLC0415 (pydantic takes 0.1 s to import)
    from netshare.store.newer import NewerSchemaError  # noqa: PLC0415 (likewise)

    try:
        rollout = schema.decode(content)
    except (NewerSchemaError, schema.InvalidRolloutError) as error:
        raise _unusable(path, str(error)) from error
    if rollout.service != service:
        raise _unusable(path, f"it is one of {rollout.service}, which its file name does not say")
    return rollout


def _unusable(path: Path, why: str) -> DefinitionError:
    return DefinitionError(
        f"the rollout noted in {named(path)} can't be used: {why}",
        hint="its service stays as it is until that is mended; without the file, all its replicas are served alike",
    )


def _failed(path: Path, error: OSError, done: str) -> NetshareError:
    kind = NotPermittedError if isinstance(error, PermissionError) else NetshareError
    return kind(
        f"{named(path)} can't be {done}: {error.strerror}",
        hint="run netshare as root; NETSHARE_STATE_DIR names the directory, which must have room left",
    )

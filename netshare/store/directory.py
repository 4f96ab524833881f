"""Definitions as files of a directory, each written wholly or not at all, and never over one that can't be read.

Writers hold netshare's lock (`netshare.runtime.lock`); readers need none, since a file changes only by rename.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

from netshare.core.model import Service
from netshare.core.parse import service_name, shown
from netshare.errors import DefinitionError, NetshareError, NotPermittedError, UsageError
from netshare.runtime.directories import make, require_safe
from netshare.runtime.files import replace_file, sync_directory
from netshare.store.plain import NotPlainError, Signature, named, read_plain
from netshare.store.protocol import Definitions

_SUFFIX = ".json"
_LARGEST = 1 << 20


class DefinitionStore:
    """The definitions in one directory. What was read is remembered for as long as its file stays the same."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[str, tuple[Signature, Service]] = {}

    def load(self) -> Definitions:
        """Read every definition; one that cannot be read never hides the others."""
        require_safe(self._directory)
        services: list[Service] = []
        unreadable: dict[str, DefinitionError] = {}
        before, self._read = self._read, {}
        for file_name in self._file_names():
            name = unquote(file_name.removesuffix(_SUFFIX))
            if not self._is_of_a_service(file_name, name):
                error = _invalid(self._directory / file_name, "its file name is not one of a service")
                unreadable[shown(file_name)] = error
                continue
            if name in before:
                self._read[name] = before[name]
            try:
                service = self._definition(name)
            except DefinitionError as error:
                unreadable[name] = error
            else:
                services += [service] if service else []
        return Definitions.of(services, unreadable)

    def get(self, name: str) -> Service | None:
        """Give the service of that name, if there is one."""
        require_safe(self._directory)
        return self._definition(name)

    def save(self, service: Service) -> None:
        """Write a definition, wholly or not at all."""
        from netshare.store import schema  # noqa: PLC0415 (pydantic takes 0.1 s to import)

        require_safe(self._directory)
        self._definition(service.name)
        path = self._path(service.name)
        with _named_errors(path, "written"):
            make(self._directory)
            replace_file(path, schema.encode(service), lasting=True)

    def delete(self, name: str) -> None:
        """Remove a definition; one that isn't there is not an error."""
        require_safe(self._directory)
        if self._definition(name) is None:
            return
        path = self._path(name)
        with _named_errors(path, "removed"):
            path.unlink(missing_ok=True)
            sync_directory(self._directory)

    def _file_names(self) -> list[str]:
        with _named_errors(self._directory, "read"):
            try:
                names = os.listdir(self._directory)  # noqa: PTH208 (names, not paths, are wanted)
            except FileNotFoundError:
                return []
        return sorted(name for name in names if name.endswith(_SUFFIX) and not name.startswith("."))

    def _is_of_a_service(self, file_name: str, name: str) -> bool:
        try:
            return self._path(service_name(name)).name == file_name
        except UsageError:
            return False

    def _path(self, name: str) -> Path:
        # '/' of PROJECT/NAME must not become a directory.
        return self._directory / f"{quote(name, safe='')}{_SUFFIX}"

    def _definition(self, name: str) -> Service | None:
        path = self._path(name)
        known, remembered = self._read.get(name, (None, None))
        with _named_errors(path, "read"):
            try:
                found = read_plain(path, _LARGEST, known)
            except NotPlainError as error:
                raise _invalid(path, str(error)) from error
        if found is None:
            return None
        signature, content = found
        if content is None:
            return remembered
        service = _decode(path, name, content)
        self._read[name] = (signature, service)
        return service


def _decode(path: Path, name: str, content: bytes) -> Service:
    from netshare.store import newer, schema  # noqa: PLC0415 (pydantic takes 0.1 s to import)

    try:
        service = schema.decode(content)
    except newer.NewerSchemaError as error:
        hint = (
            "use that netshare again, or move the file away and attach the service again; until then it stays as it is"
        )
        raise _invalid(path, str(error), f"{hint}, and the file is neither overwritten nor deleted") from error
    except schema.InvalidDefinitionError as error:
        raise _invalid(path, str(error)) from error
    if service.name != name:
        raise _invalid(path, f"it defines {service.name}, which its file name does not say")
    return service


_MEND = "mend the file, or move it away and attach the service again; netshare neither overwrites nor deletes it"


def _invalid(path: Path, why: str, hint: str = _MEND) -> DefinitionError:
    return DefinitionError(f"the definition {named(path)} can't be used: {why}", hint=hint)


@contextmanager
def _named_errors(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise NotPermittedError(
            f"{named(path)} can't be {done}: {error.strerror}",
            hint="run netshare as root, or set NETSHARE_STATE_DIR to a directory of your own",
        ) from error
    except OSError as error:
        raise NetshareError(
            f"{named(path)} can't be {done}: {error.strerror}",
            hint="NETSHARE_STATE_DIR names the directory; it must be on a writable file system with room left",
        ) from error

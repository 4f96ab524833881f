"""What hatchling asks when it builds: notes in every sdist and wheel which revision of the source it was built from.

An sdist carries that note on into the wheels that are made of it. An editable installation gets none: it runs from its
checkout, which changes.
"""

import json
import runpy
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "netshare/runtime/revision.py"


class RevisionHook(BuildHookInterface[Any]):
    """Notes the revision."""

    _note: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the note, and have it taken along."""
        reading = runpy.run_path(str(Path(self.root, MODULE)))
        found = reading["of_checkout"](Path(self.root))
        if version == "editable" or found is None:
            return
        note = {"revision": found.commit, "modified": _is_modified(self.root)}
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False, encoding="ascii") as file:
            file.write(json.dumps(note) + "\n")
        self._note = Path(file.name)
        self._note.chmod(0o644)
        build_data["force_include"][file.name] = str(Path(MODULE).with_name(reading["NOTE"]))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the note: it is in what was built."""
        if self._note is not None:
            self._note.unlink()


def _is_modified(root: str) -> bool | None:
    """Ask git whether files differ from the commit; ``None``: there is no git, or it can't tell."""
    git = shutil.which("git")
    if git is None:
        return None
    # The tree may be another user's, as where root installs from it. No lock: the tree is only read.
    words = (git, "--no-optional-locks", "-c", f"safe.directory={root}", "-C", root, "status", "--porcelain")
    asked = subprocess.run(words, check=False, capture_output=True)
    return bool(asked.stdout.strip()) if asked.returncode == 0 else None

"""Headless Chromium in a namespace: it opens a page, lets it run for a while, and shows what became of it."""

import shutil
import subprocess
from pathlib import Path

from netshare.lab.namespace import Namespace

_PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser")
_SECONDS = 90
_WINDOW = "900,600"


def program() -> str | None:
    """Find it."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


def open_page(namespace: Namespace, url: str, directory: Path, *, milliseconds: int) -> tuple[str, Path]:
    """Open a page, and give its document as it is after that time, and a screenshot."""
    screenshot = directory / "page.png"
    found = program()
    if found is None:
        raise FileNotFoundError(_PROGRAMS[0])
    process = namespace.popen(
        [
            found,
            "--headless",
            "--no-sandbox",  # root's has none
            "--disable-gpu",
            "--disable-quic",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--no-first-run",
            f"--user-data-dir={directory / 'profile'}",
            f"--window-size={_WINDOW}",
            f"--virtual-time-budget={milliseconds}",
            f"--screenshot={screenshot}",
            "--dump-dom",
            url,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
    )
    try:
        document, said = process.communicate(timeout=_SECONDS)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0, said[-3000:]
    return document, screenshot

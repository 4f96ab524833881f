"""netshare is upgraded while people use what it serves."""

import base64
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vm.machines import Pair, eventually

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
NEXT = "999.0.0"
PIP = "/opt/netshare/bin/pip --disable-pip-version-check"


def newer(directory: Path) -> Path:
    """Make a wheel of these sources that calls itself a later version."""
    sources = directory / "sources"
    shutil.copytree(
        ROOT,
        sources,
        ignore=shutil.ignore_patterns(".git", ".venv", "build", "dist", "*cache*", ".hypothesis", "tests", "app"),
    )
    version = sources / "netshare/runtime/version.py"
    text, changes = re.subn(r'"\d+\.\d+\.\d+[^"]*"', f'"{NEXT}"', version.read_text(encoding="utf-8"))
    assert changes == 1
    version.write_text(text, encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={directory}", str(sources)],
        check=True,
    )
    return directory / f"netshare_lb-{NEXT}-py3-none-any.whl"


def test_nobody_notices(fresh: Pair, tmp_path: Path, told: list[str]) -> None:
    wheel = newer(tmp_path)
    place = f"/root/{wheel.name}"
    content = base64.b64encode(wheel.read_bytes()).decode()
    fresh.host.must(
        "python3",
        "-c",
        f"import base64, sys; open('{place}', 'wb').write(base64.b64decode(sys.stdin.read()))",
        given=content,
    )
    before = fresh.netshare("version")
    with fresh.load(per_second=10) as load:
        fresh.host.shell(f"{PIP} install --quiet --no-index --no-deps --no-compile {place}; systemctl restart netshare")
        eventually(fresh.is_ready)
    assert NEXT in fresh.netshare("version") != before
    told.append(f"{sum(load.answers.values())} requests answered meanwhile, and these were not: {load.failures}")
    assert load.all_answered
    assert fresh.count().answering() == {"web-1", "web-2", "web-3"}

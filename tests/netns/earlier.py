"""What earlier netshares left behind: the kernel's rules and their own files, recorded when they ran.

`python -m tests.netns.earlier REVISION NAME` records another, as root, on the lab that the test has too.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from netshare.core.model import IPTABLES, NFTABLES
from netshare.lab.namespace import Namespace
from netshare.lab.topology import Lab
from netshare.runtime.boot import boot_id
from tests.netns.admin import Admin
from tests.netns.nft import nft, run

FOLDER = Path(__file__).with_name("earlier")
_ROOT = Path(__file__).parents[2]
_ENDPOINTS = tuple(
    word for n in (10, 11, 12) for word in ("--endpoint", f"172.30.0.{n}", "--endpoint", f"fd00:172:30::{n:x}")
)
DRAINED = "172.30.0.12"
"""The replica that was drained, where that was known."""
_TOOLS = {"ip.save": "iptables-legacy", "ip6.save": "ip6tables-legacy"}


@dataclass(frozen=True, slots=True)
class Earlier:
    """One of them, by the name of its folder."""

    name: str

    @property
    def driver(self) -> str:
        """What programmed the kernel."""
        return IPTABLES if (self._folder / "ip.save").exists() else NFTABLES

    @property
    def drains(self) -> bool:
        """Whether a replica of it was drained."""
        return (self._folder / "drains.json").exists()

    @property
    def _folder(self) -> Path:
        return FOLDER / self.name

    def restore(self, host: Namespace, directory: Path, schema: int | None = None) -> None:
        """Put everything where it was; with another schema in what the kernel is told, where there is one."""
        for path in sorted(self._folder.glob("*.nft")):
            nft(host, "-f", "-", text=_with(schema, path.read_text(encoding="utf-8")))
        for name, tool in _TOOLS.items():
            path = self._folder / name
            if path.exists():
                text = _with(schema, path.read_text(encoding="utf-8"))
                done = run(host, f"{tool}-restore", text=text)
                assert done.returncode == 0, done.stderr
        shutil.copytree(self._folder / "services", directory / "state" / "services")
        (directory / "run").mkdir(mode=0o755)
        if self.drains:
            document = json.loads((self._folder / "drains.json").read_text(encoding="utf-8"))
            drains = [each | {"since": 0.0} for each in document["drains"]]
            written = json.dumps(document | {"boot": boot_id(), "drains": drains})
            (directory / "run" / "drains.json").write_text(written, encoding="utf-8")


def _with(schema: int | None, text: str) -> str:
    return (
        text
        if schema is None
        else re.sub(r"netshare \d+: made by netshare", f"netshare {schema}: made by netshare", text)
    )


def rules(host: Namespace, driver: str) -> str:
    """List what the kernel holds of netshare's, without what counts."""
    if driver == NFTABLES:
        return nft(host, "-s", "list", "table", "inet", "netshare")
    saved = "".join(run(host, f"{tool}-save").stdout for tool in _TOOLS.values())
    return "\n".join(line for line in saved.splitlines() if "NETSHARE" in line and not line.startswith(":"))


def record(revision: str, name: str) -> None:
    """Have a revision do what there is to do, and keep what comes of it."""
    packed = subprocess.run(
        ["git", "-C", _ROOT, "archive", revision, "netshare"], capture_output=True, check=True
    ).stdout
    with tempfile.TemporaryDirectory() as there:
        code, directory, kept = Path(there) / "code", Path(there) / "own", FOLDER / name
        code.mkdir()
        directory.mkdir()
        subprocess.run(["tar", "-x", "-C", code], input=packed, check=True)
        with Lab() as lab, closing(Admin(lab, directory, code=code)) as admin:
            _attach(admin, *(("--driver", IPTABLES) if IPTABLES in name else ()))
            kept.mkdir(parents=True)
            shutil.copytree(directory / "state" / "services", kept / "services")
            if (directory / "run" / "drains.json").exists():
                shutil.copy(directory / "run" / "drains.json", kept / "drains.json")
            if IPTABLES in name:
                for file, tool in _TOOLS.items():
                    (kept / file).write_text(run(lab.host, f"{tool}-save").stdout, encoding="utf-8")
            else:
                (kept / "ruleset.nft").write_text(nft(lab.host, "list", "table", "inet", "netshare"), encoding="utf-8")


def _attach(admin: Admin, *driver: str) -> None:
    needed = (
        ("attach", "web", "80/tcp", "--to", "8080", *_ENDPOINTS, *driver),
        ("attach", "web", "80/udp", "--to", "8080"),
        ("attach", "api", "81", "--listen", "198.18.0.1", "--endpoint", "172.30.0.10:8080", *driver),
    )
    weighted = ("--strategy", "round-robin", "--weight", "172.30.0.10=3")
    later = (
        ("attach", "turn", "82", "--to", "8080", *_ENDPOINTS, *weighted, *driver),
        ("drain", "turn", DRAINED, "--timeout", "none"),
    )
    for words in (*needed, *later):
        done = admin.netshare(*words)
        if done.code and words in needed:
            raise SystemExit(f"{words}: {done.err}")
        if done.code:
            sys.stderr.write(f"not in this revision: {done.err}")


if __name__ == "__main__":
    record(*sys.argv[1:])

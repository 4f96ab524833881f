"""A base image without a registry: files of this machine's own Debian packages, as a tar archive on standard output.

    python3 app/image/debian_base.py python3 python3-venv libstdc++6 | docker import - debian-base

It takes the packages named, with all that they depend on, as dpkg says they are installed; documentation and what
`--without` names stay out. It needs nothing but the standard library.
"""

import argparse
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

_ALWAYS = ("base-files", "coreutils", "dash", "libc-bin")
# Debconf is for installing, and perl for what is not run here.
_NEVER = ("debconf", "perl", "perl-base", "mount", "login", "systemd", "udev", "readline-common")
_LEFT_OUT = re.compile(r"^/usr/share/(doc|man|locale|info|lintian|bash-completion|bug)/")
# Since Debian 12, /bin and its like are links into /usr (usrmerge), and packages may still name files by the old paths.
_MERGED = ("bin", "sbin", "lib", "lib64")
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_FOLDERS = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700, "run": 0o755, "proc": 0o755, "sys": 0o755, "dev": 0o755}


def installed() -> dict[str, list[str]]:
    """List the packages that are installed with what each depends on; a virtual one depends on what provides it."""
    form = "${Package}\t${Provides}\t${Pre-Depends}, ${Depends}\t${db:Status-Status}\n"
    answer = _dpkg_query("-W", "-f", form)
    found: dict[str, list[str]] = {}
    provided: dict[str, list[str]] = {}
    for line in answer.splitlines():
        name, provides, depends, status = line.split("\t")
        if status != "installed":
            continue
        # Of alternatives ("a | b") each that is there counts.
        found[name] = [_name(word) for part in depends.split(",") for word in part.split("|") if word.strip()]
        for virtual in provides.split(","):
            if virtual.strip():
                provided.setdefault(_name(virtual), [name])
    return {**provided, **found}


def closure(names: Iterable[str], packages: dict[str, list[str]], without: set[str]) -> set[str]:
    """Add to packages what they depend on, and so on."""
    wanted: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in packages and name not in wanted | without:
            wanted.add(name)
            left += packages[name]
    return wanted


def files(names: Iterable[str]) -> Iterator[str]:
    """List the paths that packages own."""
    for line in dict.fromkeys(_dpkg_query("-L", *sorted(names)).splitlines()):
        if line.startswith("/") and line != "/." and not _LEFT_OUT.match(line + "/"):
            yield line


def write(paths: Iterable[str], archive: tarfile.TarFile) -> None:
    """Write paths of this machine, and what every system has besides."""
    for name in _MERGED:
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
        archive.addfile(link)
    for name, mode in _FOLDERS.items():
        folder = tarfile.TarInfo(name)
        folder.type, folder.mode = tarfile.DIRTYPE, mode
        archive.addfile(folder)
    for name, text in _FILES.items():
        entry = tarfile.TarInfo(name)
        entry.size = len(text)
        archive.addfile(entry, BytesIO(text.encode()))
    seen = {*_MERGED, *_FOLDERS, *_FILES}
    for path in paths:
        name = path.lstrip("/")
        top, _, rest = name.partition("/")
        if top in _MERGED and rest:
            name = f"usr/{name}"
        if name in seen or not Path(path).exists():  # a link that an alternative or a trigger made may be gone
            continue
        seen.add(name)
        archive.add(path, arcname=name, recursive=False)
    if "usr/bin/sh" not in seen:
        link = tarfile.TarInfo("usr/bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, "dash"
        archive.addfile(link)


def main(arguments: Sequence[str]) -> int:
    """Write the archive."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("package", nargs="+")
    parser.add_argument("--without", action="append", default=[], metavar="PACKAGE", help="leave it out")
    chosen = parser.parse_args(arguments)
    packages = installed()
    missing = [name for name in chosen.package if name not in packages]
    if missing:
        sys.stderr.write(f"not installed here: {' '.join(missing)}\n")
        return 1
    wanted = closure([*_ALWAYS, *chosen.package], packages, {*_NEVER, *chosen.without})
    real = set(_dpkg_query("-W", "-f", "${Package}\n").split())
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
        write(files(wanted & real), archive)
    return 0


def _dpkg_query(*words: str) -> str:
    command = ["/usr/bin/dpkg-query", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 (a list of words)


def _name(word: str) -> str:
    """Reduce ``libc6:any (>= 2.36)`` to ``libc6``."""
    return re.split(r"[ (:]", word.strip(), maxsplit=1)[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

import io
import platform
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from netshare.core.model import ContainerStatus
from netshare.core.pods import Published
from netshare.engine import pod_answers, sandbox_image
from netshare.errors import PortConflictError

HTTP, DNS = Published(80, 8080), Published(53, 5353)

DRIVER = "driver failed programming external connectivity on endpoint web-pod (7d1):"
# What Docker 20.10, 27 and 28 and Podman 4.3 say.
TAKEN = [
    f"{DRIVER} Bind for 0.0.0.0:80 failed: port is already allocated",
    f"{DRIVER} Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use",
    "failed to set up container networking: failed to bind host port 0.0.0.0:80/tcp: address already in use",
    "cannot listen on the TCP port: listen tcp4 :80: bind: address already in use",
]


@pytest.mark.parametrize("words", TAKEN)
def test_the_port_that_is_taken_is_named(words: str) -> None:
    error = pod_answers.not_started("web-pod", (DNS, HTTP), words)
    assert isinstance(error, PortConflictError)
    assert error.message.startswith("80/tcp is taken already: ")


def test_other_refusals_are_no_conflicts() -> None:
    refusal = pod_answers.not_started("web-pod", (HTTP,), 'exec: "sleep": executable file not found in $PATH')
    assert (refusal.exit_code, "leave --image out" in str(refusal.hint)) == (1, True)
    assert pod_answers.not_started("web-1", (), TAKEN[1]).exit_code == 1


def test_strange_answers_are_no_members() -> None:
    labels = {"netshare.pod": "web", "netshare.pod.role": "replica"}
    good = {"Id": "1", "Names": ["/web-1"], "Labels": labels, "State": "Running", "Image": "my/web", "Status": "Up"}
    assert pod_answers.member({}) is None
    assert pod_answers.member({"Id": 1, "Names": "x", "Labels": []}) is None
    assert pod_answers.member(good | {"Labels": {}}) is None
    found = pod_answers.member(good)
    assert found is not None
    assert (found.name, found.status, found.detail) == ("web-1", ContainerStatus.RUNNING, "Up")
    odd = pod_answers.member(good | {"State": "levitating", "Names": None, "Status": "\x1b[2J"})
    assert odd is not None
    assert (odd.status, odd.detail.isprintable()) == (ContainerStatus.DEAD, True)


def program(architecture: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(sandbox_image.archive(architecture))) as tar:
        [entry] = tar.getmembers()
        assert (f"/{entry.name}", entry.mode) == (sandbox_image.PROGRAM, 0o755)
        content = tar.extractfile(entry)
        assert content is not None
        return content.read()


@pytest.mark.parametrize(("architecture", "machine"), [("x86_64", 62), ("amd64", 62), ("aarch64", 183), ("arm64", 183)])
def test_the_sandbox_is_a_small_elf_file(architecture: str, machine: int) -> None:
    elf = program(architecture)
    assert elf[:4] == b"\x7fELF"
    assert struct.unpack_from("<HH", elf, 16) == (2, machine)
    entry, size = struct.unpack_from("<Q", elf, 24)[0], struct.unpack_from("<Q", elf, 96)[0]
    assert entry - 0x400000 == 120
    assert size == len(elf) < 160


def test_it_sleeps_until_it_is_killed(tmp_path: Path) -> None:
    assert sandbox_image.is_known(platform.machine())
    path = tmp_path / "sleep"
    path.write_bytes(program(platform.machine()))
    path.chmod(0o755)
    with subprocess.Popen([path]) as sleeping:
        with pytest.raises(subprocess.TimeoutExpired):
            sleeping.wait(0.2)
        state = Path(f"/proc/{sleeping.pid}/stat").read_text(encoding="ascii").split()[2]
        sleeping.kill()
        assert (state, sleeping.wait()) == ("S", -9)


def test_other_machines_are_not_known() -> None:
    assert not sandbox_image.is_known("riscv64")


@pytest.mark.parametrize(
    ("release", "expected"),
    [("5.14.0-427.el9", (5, 14)), ("6.18.0", (6, 18)), ("5.4", (5, 4)), ("", (0, 0)), ("new", (0, 0))],
)
def test_kernel_versions(release: str, expected: tuple[int, int]) -> None:
    assert pod_answers.version(release) == expected

"""The image of a pod's sandbox, made on the spot: one program of some 150 bytes that only sleeps. Pure.

A sandbox needs an image, and there may be no registry to pull one from; and an application's own image may have neither
a shell nor `sleep`. So the image is made here: an ELF file that asks the kernel to pause, and again whenever it wakes.
"""

import io
import struct
import tarfile

NAME = "netshare-sandbox-1"
TAG = "latest"  # Podman 4.3 gives what it imports no other
REFERENCE = f"{NAME}:{TAG}"
PROGRAM = "/sleep"

_BASE = 0x400000
_ALIGNMENT = 0x10000  # as large as arm64's pages may be
_HEADERS = struct.Struct("<4s12s HHIQQQIHHHHHH IIQQQQQQ".replace(" ", ""))
_IDENTITY = bytes((2, 1, 1)) + bytes(9)  # 64 bits, little-endian, version 1
_EXECUTABLE, _LOAD, _READ_AND_EXECUTE = 2, 1, 5

_X86_64 = (
    62,
    bytes.fromhex(
        "b822000000"  # again: mov eax, 34 (pause)
        "0f05"  # syscall
        "ebf7"  # jmp again
    ),
)
_AARCH64 = (
    183,
    struct.pack(
        "<7I",
        0xD2800000,  # again: mov x0, 0    (it has no pause: ppoll of nothing, for ever)
        0xD2800001,  # mov x1, 0
        0xD2800002,  # mov x2, 0
        0xD2800003,  # mov x3, 0
        0xD2800928,  # mov x8, 73 (ppoll)
        0xD4000001,  # svc 0
        0x17FFFFFA,  # b again
    ),
)
_MACHINES = {"x86_64": _X86_64, "amd64": _X86_64, "aarch64": _AARCH64, "arm64": _AARCH64}


def is_known(architecture: str) -> bool:
    """Whether the image can be made for machines of that kind."""
    return architecture in _MACHINES


def archive(architecture: str) -> bytes:
    """Make the image's file system, as a tar archive."""
    program = _executable(*_MACHINES[architecture])
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        entry = tarfile.TarInfo(PROGRAM.removeprefix("/"))
        entry.mode, entry.size = 0o755, len(program)
        tar.addfile(entry, io.BytesIO(program))
    return content.getvalue()


def _executable(machine: int, code: bytes) -> bytes:
    """Write an ELF file of one segment: elf(5)."""
    start, size = _HEADERS.size, _HEADERS.size + len(code)
    file_header = (b"\x7fELF", _IDENTITY, _EXECUTABLE, machine, 1, _BASE + start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = (_LOAD, _READ_AND_EXECUTE, 0, _BASE, _BASE, size, size, _ALIGNMENT)
    return _HEADERS.pack(*file_header, *segment) + code

"""The image of the tests' containers: the replica of replica.c, busybox for health checks. No registry is asked."""

import io
import subprocess
import tarfile
from pathlib import Path
from shutil import which

import docker

NAME = "netshare-test"
PORT = 8080

_SOURCE = Path(__file__).with_name("replica.c")


def build(client: docker.DockerClient, directory: Path) -> None:
    """Compile the replica and import the image into an engine."""
    replica = directory / "replica"
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-static", "-pthread", "-o", replica, _SOURCE], check=True)
    busybox = which("busybox")
    if busybox is None:
        raise FileNotFoundError("busybox")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for program, name in ((replica, "bin/replica"), (Path(busybox), "bin/busybox")):
            entry = tar.gettarinfo(str(program), name)
            entry.mode = 0o755
            with program.open("rb") as content:
                tar.addfile(entry, content)
        link = tarfile.TarInfo("bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(link)
    client.api.import_image_from_data(
        archive.getvalue(), repository=NAME, tag="latest", changes=['CMD ["/bin/replica"]', f"EXPOSE {PORT}"]
    )

"""Images for the workload where no registry is: made of this machine's Debian packages and of wheels."""

import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import docker

BASE = "debian-base"
POSTGRES = "debian-postgres"

_ROOT = Path(__file__).parents[3]
_APP = _ROOT / "app"
_PYTHON = ("python3", "python3-venv", "libstdc++6")

# What the usual image does with these variables. `nobody` is the only ordinary user that the base has.
_ENTRYPOINT = r"""#!/bin/sh
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
export PATH
cd /data
if [ ! -e db ]; then
    echo "$POSTGRES_PASSWORD" >password
    initdb -D db -U "$POSTGRES_USER" --pwfile=password --auth=scram-sha-256 --no-locale -E UTF8 --no-sync
    echo "host all all all scram-sha-256" >>db/pg_hba.conf
    echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D db -E postgres
fi
exec postgres -D db -c listen_addresses='*' -c unix_socket_directories= -c jit=off -c fsync=off
"""
_DOCKERFILE = """\
FROM debian-postgres-base
COPY entrypoint /entrypoint
RUN mkdir /data && chown nobody /data && ln -s /usr/lib/postgresql/*/bin/pg_isready /usr/bin/pg_isready
USER nobody
ENTRYPOINT ["/bin/sh", "/entrypoint"]
"""


def import_base(client: docker.DockerClient) -> None:
    """Bring the base for the application."""
    client.api.import_image_from_data(_packages(*_PYTHON), repository=BASE, tag="latest")


def build_postgres(client: docker.DockerClient) -> None:
    """Make an image that does for the tests what the usual one does."""
    without = ("postgresql-common", "postgresql-client-common", "ssl-cert", "libllvm14")
    data = _packages("postgresql", *(f"--without={package}" for package in without))
    client.api.import_image_from_data(data, repository="debian-postgres-base", tag="latest")
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, text in (("Dockerfile", _DOCKERFILE), ("entrypoint", _ENTRYPOINT)):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=POSTGRES, rm=True)


def fetch_wheels(directory: Path) -> None:
    """Fetch what the application's image installs, with the very Python that will be in it."""
    with tempfile.TemporaryDirectory(prefix="app-wheels-") as environment:
        subprocess.run(["/usr/bin/python3", "-m", "venv", environment], check=True)
        pip = [f"{environment}/bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
        requirements = _APP / "requirements.txt"
        subprocess.run([*pip, "wheel", "--no-deps", f"--wheel-dir={directory}", f"-r{requirements}"], check=True)


def _packages(*words: str) -> bytes:
    program = _APP / "image" / "debian_base.py"
    return subprocess.run([sys.executable, program, *words], check=True, stdout=subprocess.PIPE).stdout

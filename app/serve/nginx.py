"""Nginx in front of any of the servers: ``python -m app.serve.nginx http|uwsgi``, with Debian's package or any other.

The site is the very template that the Compose file gives Nginx's own image; around it stands what an ordinary user's
Nginx needs, in a directory of its own. It stops gracefully on SIGQUIT: its SIGTERM means at once.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template
from tempfile import mkdtemp

from app.serve.options import Bind, Protocol

_TEMPLATES = Path(__file__).parents[1] / "nginx"
_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/local/sbin"

_MAIN = Template("""\
daemon off;
worker_processes auto;
pid $directory/nginx.pid;
error_log stderr;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path $directory/body;
    proxy_temp_path $directory/proxy;
    uwsgi_temp_path $directory/uwsgi;
    fastcgi_temp_path $directory/fastcgi;
    scgi_temp_path $directory/scgi;
$site
}
""")


def configure(protocol: Protocol, listen: Bind, upstreams: Sequence[Bind], directory: Path) -> Path:
    """Write the configuration into a directory, and give its path."""
    # Template leaves Nginx's own variables ($host) as they are, as the image's envsubst does.
    site = Template((_TEMPLATES / f"{protocol}.conf.template").read_text(encoding="utf-8")).safe_substitute(
        LISTEN=str(listen), UPSTREAMS=" ".join(f"server {upstream};" for upstream in upstreams)
    )
    path = directory / "nginx.conf"
    path.write_text(_MAIN.substitute(directory=directory, site=site), encoding="utf-8")
    return path


def program() -> str | None:
    """Find Nginx."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PATH}")


def command(configuration: Path) -> list[str]:
    """Give the words to exec."""
    found = program()
    if found is None:
        raise FileNotFoundError("nginx: it is in Debian's package nginx")
    return [found, "-e", "stderr", "-p", str(configuration.parent), "-c", str(configuration)]


def main(arguments: Sequence[str]) -> None:
    """Read the command line and exec."""
    parser = argparse.ArgumentParser(prog="python -m app.serve.nginx", description=__doc__.partition("\n")[0])
    parser.add_argument("protocol", type=Protocol, metavar="http|uwsgi", help="what the servers behind speak")
    parser.add_argument("--listen", type=Bind.parse, default="0.0.0.0:8000", metavar="ADDR:PORT", help="%(default)s")
    parser.add_argument("--upstream", type=Bind.parse, action="append", required=True, metavar="ADDR:PORT")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="for its files; default: a new one below /tmp")
    chosen = parser.parse_args(arguments)
    directory = chosen.directory or Path(mkdtemp(prefix="app-nginx-"))
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)  # root's Nginx answers as another user, and buffers there
    words = command(configure(chosen.protocol, chosen.listen, chosen.upstream, directory))
    os.execv(words[0], words)  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    main(sys.argv[1:])

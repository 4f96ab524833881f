"""Caddy as an HTTP reverse proxy."""

from collections.abc import Sequence
from pathlib import Path

from scripts.benchmarks.bed import Front, Kind
from scripts.benchmarks.sides.side import Proxy, save

_CONFIG = """\
{{
    admin off
    auto_https off
    persist_config off
    log {{
        level ERROR
    }}
}}
http://:{port} {{
    reverse_proxy {endpoints} {{
        lb_policy round_robin
    }}
}}
"""


def _configure(fronts: Sequence[Front], directory: Path) -> Sequence[str]:
    (front,) = fronts
    text = _CONFIG.format(port=front.port, endpoints=" ".join(map(str, front.endpoints)))
    return ["caddy", "run", "--config", save(directory, "Caddyfile", text), "--adapter", "caddyfile"]


CADDY = Proxy("Caddy (http)", "caddy", (Kind.WEB,), _configure)

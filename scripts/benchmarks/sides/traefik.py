"""Traefik with its file provider: HTTP as usual, and routers for TCP and UDP beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.benchmarks.bed import Front, Kind
from scripts.benchmarks.sides.side import Proxy, save


def _configure(fronts: Sequence[Front], directory: Path) -> Sequence[str]:
    dynamic: dict[str, Any] = {}
    points = {}
    for front in fronts:
        name = str(front.kind)
        layer = "http" if front.kind is Kind.WEB else front.protocol.value
        udp = "/udp" if front.kind is Kind.DATAGRAMS else ""
        points[name] = {"address": f":{front.port}{udp}"}
        rule = {"http": {"rule": "PathPrefix(`/`)"}, "tcp": {"rule": "HostSNI(`*`)"}}.get(layer, {})
        servers = [{"url": f"http://{each}"} if layer == "http" else {"address": str(each)} for each in front.endpoints]
        router = {"entryPoints": [name], "service": name, **rule}
        dynamic[layer] = {"routers": {name: router}, "services": {name: {"loadBalancer": {"servers": servers}}}}
    static = {
        "entryPoints": points,
        "providers": {"file": {"filename": save(directory, "dynamic.yaml", dynamic), "watch": False}},
        "log": {"level": "ERROR"},
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
    }
    return ["traefik", f"--configFile={save(directory, 'traefik.yaml', static)}"]


TRAEFIK = Proxy("Traefik (http; tcp, udp)", "traefik", tuple(Kind), _configure)

"""Envoy with a static configuration: as an HTTP proxy, and as one for TCP and UDP."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.benchmarks.bed import Front, Kind
from scripts.benchmarks.sides.side import Proxy, save

_TYPES = "type.googleapis.com/envoy.extensions"


def _typed(kind: str, **fields: object) -> dict[str, Any]:
    return {"@type": f"{_TYPES}.{kind}", **fields}


def _address(address: str, port: int, protocol: str = "TCP") -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port, "protocol": protocol}}


def _cluster(front: Front) -> dict[str, Any]:
    # Envoy names TCP here for datagrams too: the protocol is the listener's.
    replicas = [{"endpoint": {"address": _address(str(each.address), each.port)}} for each in front.endpoints]
    return {
        "name": str(front.kind),
        "type": "STATIC",
        "lb_policy": "ROUND_ROBIN",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [{"max_connections": 20000, "max_requests": 20000}]},
        "load_assignment": {"cluster_name": str(front.kind), "endpoints": [{"lb_endpoints": replicas}]},
    }


def _http_filter(front: Front) -> dict[str, Any]:
    router = {"name": "router", "typed_config": _typed("filters.http.router.v3.Router")}
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": str(front.kind)}}]
    manager = _typed(
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="web",
        http_filters=[router],
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    )
    return {"name": "http", "typed_config": manager}


def _tcp_filter(front: Front) -> dict[str, Any]:
    proxy = _typed("filters.network.tcp_proxy.v3.TcpProxy", stat_prefix=str(front.kind), cluster=str(front.kind))
    return {"name": "tcp", "typed_config": proxy}


def _udp_listener(front: Front) -> dict[str, Any]:
    route = {"name": "route", "typed_config": _typed("filters.udp.udp_proxy.v3.Route", cluster=str(front.kind))}
    proxy = _typed(
        "filters.udp.udp_proxy.v3.UdpProxyConfig",
        stat_prefix=str(front.kind),
        matcher={"on_no_match": {"action": route}},
    )
    return {
        "name": str(front.kind),
        "address": _address("0.0.0.0", front.port, "UDP"),  # noqa: S104 (inside the lab)
        "listener_filters": [{"name": "udp", "typed_config": proxy}],
    }


def _listener(front: Front, chain: dict[str, Any]) -> dict[str, Any]:
    address = _address("0.0.0.0", front.port)  # noqa: S104 (inside the lab)
    return {"name": str(front.kind), "address": address, "filter_chains": [{"filters": [chain]}]}


def _command(directory: Path, fronts: Sequence[Front], listeners: list[dict[str, Any]]) -> Sequence[str]:
    static = {"listeners": listeners, "clusters": [_cluster(front) for front in fronts]}
    config = save(directory, "envoy.json", {"static_resources": static})
    return ["envoy", "-c", config, "-l", "error", "--disable-hot-restart"]


def _http(fronts: Sequence[Front], directory: Path) -> Sequence[str]:
    return _command(directory, fronts, [_listener(front, _http_filter(front)) for front in fronts])


def _tcp(fronts: Sequence[Front], directory: Path) -> Sequence[str]:
    listeners = [
        _udp_listener(front) if front.kind is Kind.DATAGRAMS else _listener(front, _tcp_filter(front))
        for front in fronts
    ]
    return _command(directory, fronts, listeners)


TCP = Proxy("Envoy (tcp, udp)", "envoy", tuple(Kind), _tcp)
HTTP = Proxy("Envoy (http)", "envoy", (Kind.WEB,), _http)

"""Answers as a real Podman gives them, cut to what is read and a few fields around it."""

from tests.unit.engine.docker_samples import AT, endpoint

WEB_1 = "8cba64decf5999947ef66eccd18ee2c42d30ec2ea825d501658fad7d8d66e7d1"
INFRA = "be4a8717ad12329c9e25aa07e41f31ecda1d5d4e799a2cb4408cf50344764c0e"


def listed(identity: str = WEB_1, name: str = "web-1", **fields: object) -> dict[str, object]:
    """One container of libpod's listing, Podman 4.3."""
    return {
        "AutoRemove": False,
        "Command": ["/server"],
        "Created": "2026-11-22T08:33:33.227996533Z",
        "Exited": False,
        "Id": identity,
        "Image": "localhost/shop/web:latest",
        "IsInfra": False,
        "Labels": {"io.podman.compose.project": "shop"},
        "Names": [name],
        "Namespaces": {},
        "Networks": ["podman"],
        "Pid": 16503,
        "Pod": "",
        "PodName": "",
        "Ports": None,
        "StartedAt": 1795336413,
        "State": "running",
        "Status": "",
    } | fields


def compatible(identity: str = WEB_1, /, **networks: dict[str, object]) -> dict[str, object]:
    """One container of the compatible API's listing, Podman 4.3: no HostConfig, and names for ids of networks."""
    attached = networks or {"podman": endpoint("podman", "10.88.0.2")}
    return {
        "Id": identity,
        "Names": ["/web-1"],
        "Ports": [],
        "Labels": {},
        "State": "running",
        "Status": "Up 2 seconds",
        "NetworkSettings": {"Networks": attached},
        "Config": None,
    }


def inspected(mode: str = "bridge", *exposed: str, declared: bool = False) -> dict[str, object]:
    """Give libpod's inspection; ``declared`` as 5.x has it, which names exposed ports once more."""
    config: dict[str, object] = {"StopSignal": "SIGTERM", "ExposedPorts": {key: {} for key in exposed}}
    return {
        "Id": WEB_1,
        "State": {"Status": "running", "Health": {"Status": ""}},
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {"Ports": dict.fromkeys(exposed)},
        "Config": config if declared else {"StopSignal": 15, "ExposedPorts": None},
    }


def network(name: str, driver: str = "bridge", **fields: object) -> dict[str, object]:
    """One network of libpod's listing."""
    return {
        "name": name,
        "id": "5ab6d955d6a9bfbd74682ce90bb0866419dcf63248af3108caabeb12b2476f85",
        "driver": driver,
        "network_interface": "podman1",
        "subnets": [{"subnet": "10.89.1.0/24", "gateway": "10.89.1.1"}],
        "ipv6_enabled": False,
        "internal": False,
        "dns_enabled": True,
    } | fields


NETWORKS = [
    network("podman"),
    network("shop"),
    network("lan", "macvlan"),
    network("lan2", "ipvlan"),
    network("backend", internal=True),
]


def event(kind: str, action: str, identity: str = WEB_1, /, **fields: object) -> dict[str, object]:
    """One event of the compatible API."""
    return {
        "status": action,
        "id": identity,
        "from": "localhost/shop/web:latest",
        "Type": kind,
        "Action": action,
        "Actor": {"ID": identity, "Attributes": {"containerExitCode": "0", "name": "web-1", "podId": ""}},
        "scope": "local",
        "time": AT // 1_000_000_000,
        "timeNano": AT,
    } | fields

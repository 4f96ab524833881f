"""Answers as real engines give them, cut to what is read and a few fields around it."""

from collections.abc import Mapping

BRIDGE = "9f6a3ef0a1f0b1d3a5a2f6a4be5ab0a3c5d5f6e9d3a7c1b2e4f6a8b0c2d4e6f8"
SHOP = "1111111111111111111111111111111111111111111111111111111111111111"
MACVLAN = "2222222222222222222222222222222222222222222222222222222222222222"
INTERNAL = "3333333333333333333333333333333333333333333333333333333333333333"
ISOLATED = "4444444444444444444444444444444444444444444444444444444444444444"
AT = 1795334118726733534
WEB_1 = "3f2a5d1c0b9e8f7a6d5c4b3a29181706f5e4d3c2b1a09f8e7d6c5b4a39281706"


def network(identity: str, name: str, driver: str = "bridge", **fields: object) -> dict[str, object]:
    return {
        "Name": name,
        "Id": identity,
        "Created": "2026-11-22T07:54:49.467183628Z",
        "Scope": "local",
        "Driver": driver,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": [{"Subnet": "172.17.0.0/16"}]},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigOnly": False,
        "Containers": {},
        "Options": {"com.docker.network.bridge.name": "docker0"},
        "Labels": {},
    } | fields


NETWORKS = [
    network(BRIDGE, "bridge"),
    network(SHOP, "shop_default"),
    network(MACVLAN, "lan", "macvlan"),
    network(INTERNAL, "backend", Internal=True),
    network(ISOLATED, "lonely", Options={"com.docker.network.bridge.gateway_mode_ipv4": "isolated"}),
]


def endpoint(identity: str = BRIDGE, address: str = "172.17.0.2", **fields: object) -> dict[str, object]:
    return {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": None,
        "NetworkID": identity,
        "EndpointID": "e" * 64,
        "Gateway": "172.17.0.1",
        "IPAddress": address,
        "IPPrefixLen": 16,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": "02:42:ac:11:00:02",
        "DriverOpts": None,
    } | fields


def docker_20(**fields: object) -> dict[str, object]:
    """One container of the listing of Docker 20.10 (API 1.41)."""
    return {
        "Id": WEB_1,
        "Names": ["/web-1"],
        "Image": "shop/web",
        "ImageID": "sha256:" + "a" * 64,
        "Command": "/server",
        "Created": 1795334118,
        "Ports": [{"PrivatePort": 8080, "Type": "tcp"}],
        "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"},
        "State": "running",
        "Status": "Up 2 minutes (healthy)",
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"bridge": endpoint()}},
        "Mounts": [],
    } | fields


def docker_29(**fields: object) -> dict[str, object]:
    """One container of the listing of Docker 29 (API 1.52): Health is a field, the endpoint has new fields."""
    item = docker_20(
        Status="Up 2 minutes",
        Health={"Status": "healthy", "FailingStreak": 0},
        ImageManifestDescriptor={"mediaType": "application/vnd.oci.image.manifest.v1+json"},
        HostConfig={"NetworkMode": "bridge"},
        NetworkSettings={"Networks": {"bridge": endpoint(GwPriority=0, DNSNames=None)}},
    )
    return item | fields


def event(
    kind: str, action: str, attributes: Mapping[str, str], identity: str = WEB_1, at: int = AT
) -> dict[str, object]:
    """One event, as both versions tell it; older ones repeat the status and the id at the top."""
    return {
        "status": action,
        "id": identity,
        "Type": kind,
        "Action": action,
        "Actor": {"ID": identity, "Attributes": {"image": "shop/web", "name": "web-1", **attributes}},
        "scope": "local",
        "time": at // 1_000_000_000,
        "timeNano": at,
    }

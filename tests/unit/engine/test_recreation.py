"""A container made again from its inspection: its own wishes carry over, its old image's do not."""

from typing import Any

import pytest

from netshare.engine.recreation import image_of, recipe, stop_seconds
from netshare.errors import NetshareError

ID = "8a62649d955a10ac4f0daaa963edf1fbbe51b9cc1cc7d1ef793526a9fa2cfd44"
ANONYMOUS = "5f514b67dd70b9e2a09c944efd6d00797ca570a3dc48bc88d06390f6c2a220a3"
IMAGE = {
    "Config": {
        "Env": ["PATH=/bin", "MODE=image", "LEVEL=1"],
        "Cmd": ["serve"],
        "Entrypoint": ["/entry"],
        "Labels": {"made-by": "ci", "version": "1"},
        "ExposedPorts": {"8080/tcp": {}},
        "Volumes": {"/data": {}},
        "WorkingDir": "/srv",
        "User": "app",
        "StopSignal": "SIGQUIT",
        "Healthcheck": {"Test": ["CMD", "check"], "Interval": 2},
    }
}


def inspected(
    *,
    host: dict[str, Any] | None = None,
    networks: dict[str, Any] | None = None,
    **own: Any,  # noqa: ANN401 (JSON)
) -> dict[str, Any]:
    """Give the inspection of a container of that image, to which nothing was said but what is given here."""
    config = {**IMAGE["Config"], "Hostname": ID[:12], "Image": "my/web:1", "OnBuild": None, "Shell": ["/sh"], **own}
    return {
        "Id": ID,
        "Name": "/web-1",
        "Config": config,
        "HostConfig": {"NetworkMode": "default", "Links": None, "ContainerIDFile": "/run/cid", **(host or {})},
        "NetworkSettings": {"Networks": networks or {"bridge": {"Aliases": None, "IPAMConfig": None}}},
    }


def body(*, podman: bool = False, **own: Any) -> dict[str, Any]:  # noqa: ANN401
    return recipe(inspected(**own), IMAGE, "my/web:2", podman=podman).body


def test_what_the_image_says_is_left_to_the_image() -> None:
    made = body()
    pinned = {key: value for key, value in made.items() if value and key not in ("HostConfig", "Image")}
    assert pinned == {}
    assert made["Image"] == "my/web:2"


def test_what_was_said_carries_over() -> None:
    own: dict[str, Any] = {
        "Env": ["PATH=/bin", "MODE=mine", "LEVEL=1", "NEW=1"],
        "Labels": {"made-by": "ci", "version": "mine", "netshare.service": "web"},
        "ExposedPorts": {"8080/tcp": {}, "9090/tcp": {}},
        "Volumes": {"/data": {}, "/cache": {}},
        "WorkingDir": "/opt",
        "User": "0",
        "StopSignal": "SIGINT",
        "StopTimeout": 33,
        "Hostname": "mine",
        "Domainname": "example",
        "Tty": True,
    }
    made = body(**own)
    assert made["Env"] == ["MODE=mine", "NEW=1"]
    assert made["Labels"] == {"version": "mine", "netshare.service": "web"}
    assert made["ExposedPorts"] == {"9090/tcp": {}}
    assert made["Volumes"] == {"/cache": {}}
    assert {key: made[key] for key in own if key not in ("Env", "Labels", "ExposedPorts", "Volumes")} == {
        key: value for key, value in own.items() if key not in ("Env", "Labels", "ExposedPorts", "Volumes")
    }


@pytest.mark.parametrize(
    ("own", "kept"),
    [
        ({}, {}),
        ({"Cmd": ["work"]}, {"Cmd": ["work"]}),
        ({"Entrypoint": ["/mine"], "Cmd": None}, {"Entrypoint": ["/mine"], "Cmd": None}),
        ({"Entrypoint": ["/mine"]}, {"Entrypoint": ["/mine"], "Cmd": ["serve"]}),
        ({"Entrypoint": None, "Cmd": ["sh"]}, {"Entrypoint": None, "Cmd": ["sh"]}),
    ],
)
def test_a_command_is_pinned_only_where_it_was_said(own: dict[str, Any], kept: dict[str, Any]) -> None:
    made = body(**own)
    assert {key: made[key] for key in ("Entrypoint", "Cmd") if key in made} == kept


def test_a_health_check_keeps_what_was_said_of_it() -> None:
    assert "Healthcheck" not in body()
    assert body(Healthcheck={"Test": ["CMD", "check"], "Interval": 9})["Healthcheck"] == {"Interval": 9}
    own = {"Test": ["CMD", "mine"], "Interval": 2}
    assert body(Healthcheck=own)["Healthcheck"] == {"Test": ["CMD", "mine"]}
    filled_in = {"Test": ["CMD", "check"], "Interval": 2, "Retries": 3}
    assert "Healthcheck" not in body(podman=True, Healthcheck=filled_in)


def test_the_hosts_part_goes_back_as_it_came() -> None:
    host = {
        "Binds": ["named:/named", "/srv:/srv:ro"],
        "Mounts": [{"Type": "volume", "Target": "/m1"}],
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "AutoRemove": True,
        "Memory": 67108864,
        "MaskedPaths": [],
        "Links": ["/db:/web-1/database"],
    }
    made = body(host=host)["HostConfig"]
    assert made == host | {"NetworkMode": "default", "ContainerIDFile": "", "Links": ["db:database"]}


def test_networks_keep_their_settings_and_the_mode_comes_first() -> None:
    networks = {
        "a": {"Aliases": ["x", ID[:12]], "IPAMConfig": {}, "DriverOpts": {"o": "1"}, "IPAddress": "10.0.0.2"},
        "b": {"Aliases": [ID[:12]], "IPAMConfig": None, "Links": ["/db:/web-1/db"], "GwPriority": 5},
    }
    found = recipe(inspected(host={"NetworkMode": "b"}, networks=networks), IMAGE, "my/web:2")
    assert found.body["NetworkingConfig"] == {"EndpointsConfig": {"b": {"Links": ["db:db"], "GwPriority": 5}}}
    assert found.networks == (("a", {"Aliases": ["x"], "DriverOpts": {"o": "1"}}),)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"host": {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}}}, "port 8080 of the host"),
        ({"networks": {"a": {"IPAMConfig": {"IPv4Address": "10.0.0.9"}}}}, "the fixed address 10.0.0.9 on network a"),
        ({"networks": {"a": {"IPAMConfig": {"IPv6Address": "fd00::9"}}}}, "the fixed address fd00::9 on network a"),
        ({"MacAddress": "02:00:00:00:00:01"}, "the fixed hardware address 02:00:00:00:00:01"),
    ],
)
def test_what_only_one_can_have_is_refused(own: dict[str, Any], said: str) -> None:
    with pytest.raises(NetshareError) as refusal:
        body(**own)
    assert refusal.value.message.startswith(f"replica web-1 can't have a second one beside it: it has {said}")
    assert refusal.value.hint is not None
    assert refusal.value.hint.startswith("start it without")


@pytest.mark.parametrize("port", ["", "0"])
def test_a_port_that_the_engine_picks_is_no_obstacle(port: str) -> None:
    bindings = {"80/tcp": [{"HostPort": port}], "81/tcp": None}
    assert body(host={"PortBindings": bindings})["HostConfig"]["PortBindings"] == bindings


def test_podmans_own_words_are_turned_into_dockers() -> None:
    binds = [f"{ANONYMOUS}:/data:rprivate", f"{ANONYMOUS[::-1]}:/cache:rw", "named:/named:rw"]
    made = body(
        podman=True,
        Env=["PATH=/bin", "MODE=image", "LEVEL=1", "container=podman", "TERM=xterm", f"HOSTNAME={ID[:12]}", "A=1"],
        Volumes=None,
        StopSignal="3",
        StopTimeout=0,
        host={
            "Binds": binds,
            "Ulimits": [{"Name": "RLIMIT_NOFILE", "Soft": 1, "Hard": 2}],
            "PidMode": "private",
            "UTSMode": "private",
            "Runtime": "oci",
            "MemorySwappiness": 0,
            "NanoCpus": 500000000,
            "CpuPeriod": 100000,
            "CpuQuota": 50000,
        },
    )
    assert made["Env"] == ["A=1"]
    assert made["Volumes"] == {"/cache": {}}
    assert "StopSignal" not in made
    assert made["StopTimeout"] == 10
    host = made["HostConfig"]
    assert host["Binds"] == ["named:/named:rw"]
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 1, "Hard": 2}]
    assert (host["PidMode"], host["UTSMode"], host["CpuPeriod"], host["CpuQuota"]) == ("", "", 0, 0)
    assert host["MemorySwappiness"] is None
    assert "Runtime" not in host


@pytest.mark.parametrize("strange", [{}, {"Config": 1, "HostConfig": [], "NetworkSettings": "x", "Name": 5}])
def test_strange_answers_do_not_crash(strange: dict[str, Any]) -> None:
    for podman in (False, True):
        assert recipe(strange, strange, "my/web:2", podman=podman).body["Image"] == "my/web:2"
    assert image_of(strange) == ""
    assert stop_seconds(strange) == 10


def test_the_time_to_stop_is_the_containers_own() -> None:
    assert stop_seconds(inspected(StopTimeout=33)) == 33
    assert stop_seconds(inspected(StopTimeout=True)) == 10

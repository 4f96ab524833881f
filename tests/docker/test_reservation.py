"""A contested port, with a real Docker: who had it first is told of, and who comes later is told so."""

from typing import Any

import docker
import pytest

from tests.docker.admin import PORT, Admin
from tests.docker.hints import eventually

pytestmark = pytest.mark.docker

PUBLISHED: dict[str, Any] = {"ports": {"8080/tcp": PORT}}


def publish(admin: Admin, name: str, port: str = "8080/tcp") -> str:
    """Do what `docker run -p 80:8080` does; gives what Docker has against it."""
    try:
        admin.lab.run(name, ports={port: PORT})
    except docker.errors.APIError as error:
        return str(error.explanation)
    return ""


def test_a_container_that_comes_later_is_told_that_the_port_is_in_use(admin: Admin) -> None:
    admin.lab.run("web-1")
    admin.start_agent()
    admin.attach()
    before = admin.firewall()
    with admin.load() as load, admin.lab.converse() as conversation:
        at_first = conversation.ask()
        for name in ("rival-1", "rival-2"):
            assert "address already in use" in publish(admin, name)
        assert conversation.ask() == at_first
        sent = load.stop()
    assert (sent.failures, set(sent.answers)) == ((), {"web-1"})
    assert {str(address) for address in sent.clients} == {admin.lab.client_address}
    assert admin.firewall() == before
    assert publish(admin, "other", "8080/udp") == ""  # of that protocol, the port is free


def test_once_it_is_detached_a_container_can_have_it(admin: Admin) -> None:
    admin.lab.run("web-1")
    agent = admin.start_agent()
    admin.attach()
    assert admin.netshare("detach", "web").code == 0
    assert publish(admin, "rival-1") == ""
    eventually(lambda: set(admin.requests(3).answers) == {"rival-1"})
    admin.lab.docker.containers.get("rival-1").remove(force=True)
    admin.attach()
    assert "address already in use" in publish(admin, "rival-2")
    agent.end()
    assert admin.requests(3).answers == {"web-1": 3}
    assert publish(admin, "rival-3") == ""  # without the agent nobody is told


def test_a_published_port_is_refused_or_taken_with_a_warning(admin: Admin) -> None:
    rival = admin.lab.run("rival", **PUBLISHED)
    admin.lab.run("web-1")
    agent = admin.start_agent()
    assert admin.requests(5).answers == {"rival": 5}

    refused = admin.netshare("attach", "web", str(PORT))
    assert refused.code == 4
    assert "80/tcp is published by container rival (docker)" in refused.err
    assert "--force" in refused.err
    assert admin.requests(5).answers == {"rival": 5}

    forced = admin.attach("--force", "-o", "json")
    [warning] = forced.document["warnings"]
    assert warning.startswith("80/tcp is published by container rival (docker): its new connections go to the replicas")
    assert warning in forced.err
    assert admin.requests(5).answers == {"web-1": 5}
    agent.sync()
    [told] = [line for line in agent.log() if " reserve " in line]
    # Whose it is, the agent may not look up, as verbs may: it has given up to look into other processes.
    assert told.startswith("WARNING reserve listener=80/tcp held_by='a process (socket inode ")

    rival.remove(force=True)
    agent.sync()
    assert agent.log()[-1] == "INFO reserve listener=80/tcp held_by='netshare'"
    assert "address already in use" in publish(admin, "rival-2")
    assert admin.requests(5).answers == {"web-1": 5}


def test_a_port_published_for_udp_or_on_another_address_is_not_in_the_way(admin: Admin) -> None:
    admin.lab.run("udp", ports={"8080/udp": PORT})
    admin.lab.run("local", ports={"8080/tcp": ("127.0.0.1", PORT)})
    admin.lab.run("web-1")
    refused = admin.netshare("attach", "web", str(PORT))
    assert (refused.code, "published by container local" in refused.err) == (4, True)
    agent = admin.start_agent()
    admin.attach("--listen", str(admin.lab.at(PORT).address))
    assert admin.requests(5).answers == {"web-1": 5}
    assert [line for line in agent.log() if " reserve " in line] == []

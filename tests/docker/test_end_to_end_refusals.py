"""What `attach` refuses on a real host: the contract's exit code, one line that names the thing, and its mend."""

import os

import pytest

from netshare.lab.conversation import FailureKind
from tests.docker.admin import Admin
from tests.outcome import Done

pytestmark = pytest.mark.docker

SETPRIV = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
# It may read the checkout and its virtual environment, wherever they are, and nothing more.
READER = (*SETPRIV, "--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")


def refused(admin: Admin, code: int, *words: str, prefix: tuple[str, ...] = ()) -> Done:
    """Run a verb that must fail with this exit code, say why and its mend, and change nothing."""
    before = admin.generation(), admin.firewall()
    done = admin.netshare(*words, prefix=prefix)
    assert done.code == code, done
    [said, hint] = done.err.splitlines()
    assert said.startswith("netshare: ")
    assert hint.startswith("  hint: ")
    assert (admin.generation(), admin.firewall()) == before
    return done


def nothing_attached(admin: Admin) -> bool:
    return bool(admin.netshare("list", "-o", "json").document["services"] == [])


def test_names_that_nobody_has(admin: Admin) -> None:
    admin.lab.run("web-1")
    done = refused(admin, 3, "attach", "wep", "80")
    assert "netshare: no container matches wep\n" in done.err
    assert "did you mean web?" in done.err
    assert "no service is called web\n" in refused(admin, 3, "status", "web").err
    assert "no service is called web\n" in refused(admin, 3, "detach", "web").err
    assert nothing_attached(admin)


@pytest.mark.parametrize(("port", "named"), [("0", "0"), ("65536", "65536"), ("abc", "'abc'"), ("80/icmp", "'icmp'")])
def test_ports_that_there_are_not(admin: Admin, port: str, named: str) -> None:
    assert named in refused(admin, 2, "attach", "web", port).err.splitlines()[0]


def test_a_driver_that_there_is_not(admin: Admin) -> None:
    assert "there is no driver 'ipvs'\n" in refused(admin, 2, "attach", "web", "80", "--driver", "ipvs").err


def test_a_port_that_another_container_publishes(admin: Admin) -> None:
    admin.lab.run("web-1")
    admin.lab.run("shop", ports={"8080/tcp": 80})
    done = refused(admin, 4, "attach", "web", "80", "-o", "json")
    assert done.document["error"]["code"] == "port_conflict"
    assert done.document["error"]["message"] == "80/tcp is published by container shop (docker)"
    assert nothing_attached(admin)
    assert admin.requests(3).answers == {"shop": 3}
    admin.attach("--force")
    assert admin.requests(3).answers == {"web-1": 3}


def test_a_port_that_a_process_listens_on(admin: Admin) -> None:
    admin.lab.run("web-1")
    with admin.listening(80) as process:
        done = refused(admin, 4, "attach", "web", "80")
        assert f"netshare: 80/tcp is in use by busybox (pid {process.pid})\n" in done.err
        assert nothing_attached(admin)
        admin.attach("--force")
        assert admin.requests(3).answers == {"web-1": 3}


def test_a_port_that_another_service_has(admin: Admin) -> None:
    admin.lab.run("web-1")
    admin.lab.run("shop-1")
    admin.attach()
    done = refused(admin, 4, "attach", "shop", "80", "--force")
    assert "netshare: 80/tcp belongs to service web\n" in done.err
    assert admin.requests(3).answers == {"web-1": 3}


def test_several_exposed_ports(admin: Admin) -> None:
    admin.lab.run("web-1", ports={"9090/tcp": None})
    done = refused(admin, 2, "attach", "web", "80")
    assert done.err == (
        "netshare: web-1 exposes several tcp ports: 8080, 9090\n  hint: say which one web means with --to 8080\n"
    )
    admin.attach("--to", "8080")
    assert admin.requests(3).answers == {"web-1": 3}


def test_a_replica_that_dnat_cannot_reach(admin: Admin) -> None:
    admin.lab.run("web-1", network_mode="host")
    done = refused(admin, 1, "attach", "web", "80")
    assert "netshare: no replica of web can be reached: web-1: it " in done.err
    assert "(--network host): start it on a bridge network\n" in done.err
    assert nothing_attached(admin)
    admin.lab.run("web-2")
    done = admin.attach()
    assert "netshare: warning: web-1 gets no traffic: it " in done.err
    assert "(--network host): start it on a bridge network\n" in done.err
    assert admin.requests(10).answers == {"web-2": 10}
    found = admin.status()
    assert (found["web-1"]["state"], found["web-2"]["state"]) == ("unhealthy", "ready")
    assert "--network host" in found["web-1"]["reason"]


def test_a_replica_on_an_internal_network(admin: Admin) -> None:
    admin.lab.docker.networks.create("backend", internal=True)
    admin.lab.run("web-1", network="backend")
    assert "network backend is internal" in refused(admin, 1, "attach", "web", "80").err


def test_a_replica_on_two_networks(admin: Admin) -> None:
    replica = admin.lab.run("web-1")
    admin.lab.docker.networks.create("shop").connect(replica)
    done = refused(admin, 2, "attach", "web", "80")
    assert "the replicas of web are on several networks: bridge, shop\n" in done.err
    assert "--network bridge" in done.err
    admin.attach("--network", "shop")
    assert admin.status()["web-1"]["endpoint"] == f"{admin.lab.address(replica, 'shop')}:8080"
    assert admin.requests(3).answers == {"web-1": 3}


def test_a_replica_that_never_gets_healthy(admin: Admin) -> None:
    check = {"test": ["CMD", "/bin/busybox", "false"], "interval": 200_000_000, "retries": 100}
    admin.lab.run("web-1", healthcheck=check)
    done = admin.netshare("attach", "web", "80", "--timeout", "500ms")
    assert done.code == 8
    assert "no replica of web takes traffic after 0.5 s: web-1 is starting" in done.err
    assert admin.requests(3, timeout=1.0).failures_by_kind == {FailureKind.REFUSED: 3}


@pytest.mark.parametrize("words", [("attach", "web", "80"), ("sync",), ("status",), ("reset", "--yes"), ("agent",)])
def test_a_user_without_the_right_to_it(admin: Admin, words: tuple[str, ...]) -> None:
    assert os.geteuid() == 0
    done = refused(admin, 5, *words, prefix=READER)
    assert "CAP_NET_ADMIN" in done.err
    assert "sudo netshare" in done.err


def test_a_definition_that_cannot_be_read(admin: Admin) -> None:
    admin.lab.run("web-1")
    admin.lab.run("shop-1")
    admin.attach()
    [definition] = (admin.state / "services").iterdir()
    for content in ("{", '{"schema": 99}'):
        definition.write_text(content)
        for words in (("attach", "web", "81"), ("detach", "web"), ("status", "web")):
            assert str(definition) in refused(admin, 9, *words).err
        assert definition.read_text() == content
    # It is served as the kernel has it, keeps its port, and stands in nobody's way.
    assert "belongs to service web" in refused(admin, 4, "attach", "shop", "80").err
    assert admin.netshare("attach", "shop", "81").code == 0
    assert admin.netshare("sync").code == 9
    assert admin.requests(3).answers == {"web-1": 3}
    with admin.lab.converse(81) as conversation:
        assert conversation.ask().replica == "shop-1"
    assert definition.read_text() == content

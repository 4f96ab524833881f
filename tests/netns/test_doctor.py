"""``netshare doctor`` on hosts that fail a check, and on one that passes them all."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netshare.lab.topology import Lab
from netshare.netfilter.nftables.driver import NftablesDriver
from tests.netns.nft import load, nft, run
from tests.prerequisites import program

pytestmark = pytest.mark.netns

DROPPING = "table inet admin { chain forward { type filter hook forward priority 0; policy drop; }; }"


class Site:
    """A lab whose host runs the command."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.lab = lab
        self.directory = directory

    def netshare(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "NETSHARE_STATE_DIR": str(self.directory / "state"),
            "NETSHARE_RUNTIME_DIR": str(self.directory / "run"),
            **more,
        }
        argv = [sys.executable, "-m", "netshare", *words]
        return self.lab.host.run(
            lambda: subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=60)
        )

    def share(self) -> None:
        endpoints = [word for each in self.lab.replicas.values() for word in ("--endpoint", str(each.endpoint))]
        assert self.netshare("attach", "web", "80", *endpoints).returncode == 0

    def diagnose(self, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """Run it; gives its exit code, and the checks by what they are about."""
        done = self.netshare("doctor", "-o", "json", **environment)
        assert done.stderr == ""
        document = json.loads(done.stdout)
        assert document["schema"] == 1
        assert document["ok"] is (done.returncode == 0)
        return done.returncode, {check["about"]: check for check in document["checks"]}


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Site:
    program("nft")
    site = Site(lab, tmp_path)
    site.share()
    return site


def test_a_host_in_order_passes_every_check(site: Site) -> None:
    code, checks = site.diagnose()
    assert code == 0, checks
    assert {"permissions", "kernel", "conntrack", "firewalls", "rules", "service web"} <= checks.keys()
    assert {check["verdict"] for check in checks.values()} == {"ok"}
    assert {check["mend"] for check in checks.values()} == {None}


def test_people_read_a_line_a_check(site: Site) -> None:
    load(site.lab.host, DROPPING)
    done = site.netshare("doctor")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "✓ rules: the kernel holds what it should" in lines
    failure = lines.index("✗ inet admin forward: inet admin forward drops connections to replicas (its policy)")
    assert lines[failure + 1].strip().startswith("to let them by: nft insert rule inet admin forward ct mark")


def test_the_mend_of_a_dropping_chain_mends_it(site: Site) -> None:
    load(site.lab.host, DROPPING)
    code, checks = site.diagnose()
    assert code == 1
    mend = checks["inet admin forward"]["mend"].removeprefix("to let them by: ").split()
    assert run(site.lab.host, *mend).returncode == 0
    assert site.diagnose()[0] == 0


def test_rules_that_another_hand_altered(site: Site) -> None:
    nft(site.lab.host, "flush", "chain", "inet", "netshare", "dispatch")
    code, checks = site.diagnose()
    assert (code, checks["rules"]["verdict"], checks["rules"]["mend"]) == (1, "failed", "netshare sync")
    assert site.netshare("sync").returncode == 0
    assert site.diagnose()[0] == 0


def test_forwarding_that_is_off(site: Site) -> None:
    setting = "/proc/sys/net/ipv4/ip_forward"
    site.lab.host.run(Path(setting).write_text, "0")
    code, checks = site.diagnose()
    assert (code, checks["net.ipv4.ip_forward"]["verdict"]) == (1, "failed")
    site.lab.host.run(Path(setting).write_text, "1")
    assert site.diagnose()[0] == 0


def test_ipv6_that_is_not_forwarded_matters_only_where_a_replica_has_it(site: Site) -> None:
    site.lab.host.run(Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text, "0")
    assert site.diagnose()[0] == 0
    assert site.netshare("attach", "web", "80", "--endpoint", "fd00::2").returncode == 0
    code, checks = site.diagnose()
    assert code == 1
    assert checks["net.ipv6.conf.all.forwarding"]["verdict"] == "failed"


def test_a_strict_reverse_path_filter_with_two_ways_out(site: Site) -> None:
    host, client = site.lab.host, site.lab.client
    host.run(Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text, "1")
    assert site.diagnose()[1]["rp_filter"]["verdict"] == "ok", "strict, but there is no second way"
    for metric in ("1", "2"):
        done = run(host, "ip", "route", "add", "default", "via", str(client.address), "metric", metric)
        assert done.returncode == 0, done.stderr
    assert site.diagnose()[1]["rp_filter"]["verdict"] == "warning"


def test_a_port_that_somebody_else_has_as_well(site: Site) -> None:
    process = site.lab.host.popen(
        [sys.executable, "-m", "http.server", "--bind", "0.0.0.0", "80"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        checks: dict[str, dict[str, Any]] = {}
        for _ in range(20):  # until it listens
            checks = site.diagnose()[1]
            if "port 80/tcp" in checks:
                break
        assert checks["port 80/tcp"]["verdict"] == "warning"
        assert f"pid {process.pid}" in checks["port 80/tcp"]["seen"]
    finally:
        process.kill()
        process.wait()


def test_an_engine_that_should_answer_and_does_not(site: Site) -> None:
    assert site.diagnose()[1]["docker"]["verdict"] == "ok", "one that is not here at all is no fault"
    code, checks = site.diagnose(DOCKER_HOST=f"unix://{site.directory}/docker.sock")
    assert (code, checks["docker"]["verdict"]) == (1, "failed")
    assert "DOCKER_HOST" in checks["docker"]["mend"]


def test_a_definition_that_cannot_be_read(site: Site) -> None:
    (site.directory / "state" / "services" / "dns.json").write_text("{")
    code, checks = site.diagnose()
    assert (code, checks["definitions"]["verdict"]) == (1, "failed")
    assert "dns.json" in checks["definitions"]["seen"]


def test_an_ordinary_user_is_told_to_become_root(site: Site) -> None:
    done = site.lab.host.run(
        lambda: subprocess.run(
            ["setpriv", "--inh-caps=-all", "--bounding-set=-all", sys.executable, "-m", "netshare", "doctor"],
            env=os.environ | {"NETSHARE_STATE_DIR": str(site.directory / "state")},
            capture_output=True,
            text=True,
            check=False,
        )
    )
    assert done.returncode == 1
    assert "✗ permissions: this user may not ask or program the kernel" in done.stdout


class TestTrace:
    """One imagined packet, stage by stage, up to the first rule that drops it."""

    def trace(self, site: Site, client: object, port: str = "80") -> tuple[int, list[dict[str, Any]]]:
        done = site.netshare("doctor", "--trace", str(client), port, "-o", "json")
        return done.returncode, json.loads(done.stdout)["checks"]

    def test_a_packet_that_arrives(self, site: Site) -> None:
        code, steps = self.trace(site, site.lab.client.address)
        assert code == 0
        assert [step["about"] for step in steps] == ["prerouting", "dispatch", "route", "forward", "postrouting"]
        assert "one of 3 (172.30.0.10:8080, 172.30.0.11:8080, 172.30.0.12:8080)" in steps[1]["seen"]
        assert steps[2]["seen"] == f"out by {site.lab.network.bridge}"
        assert steps[-1]["seen"] == f"the replica sees the client's own address, {site.lab.client.address}"

    def test_a_sibling_is_seen_as_the_host(self, site: Site) -> None:
        code, steps = self.trace(site, site.lab.replicas["replica-1"].address)
        assert code == 0
        assert "the host's own address" in steps[-1]["seen"]

    def test_the_chain_that_drops_it_is_named(self, site: Site) -> None:
        load(site.lab.host, DROPPING)
        code, steps = self.trace(site, site.lab.client.address)
        assert (code, steps[-1]["about"], steps[-1]["verdict"]) == (1, "forward", "failed")
        assert "inet admin forward" in steps[-1]["seen"]

    def test_iptables_that_drops_it_is_named(self, site: Site) -> None:
        program("iptables-nft")
        host = site.lab.host
        assert run(host, "iptables-nft", "-P", "FORWARD", "DROP").returncode == 0
        code, steps = self.trace(site, site.lab.client.address)
        assert (code, steps[-1]["mend"]) == (1, "netshare sync")
        assert "iptables-nft filter" in steps[-1]["seen"]
        assert site.diagnose()[1]["forwarding"]["verdict"] == "failed"
        assert site.netshare("sync").returncode == 0
        assert self.trace(site, site.lab.client.address)[0] == 0
        assert site.diagnose()[0] == 0

    def test_a_family_without_replicas_is_refused(self, site: Site) -> None:
        code, steps = self.trace(site, site.lab.client.address6)
        assert (code, steps[-1]["about"]) == (1, "refuse")

    def test_a_port_that_nobody_shares(self, site: Site) -> None:
        code, steps = self.trace(site, site.lab.client.address, "81/udp")
        assert (code, len(steps)) == (1, 1)
        assert steps[0]["mend"] == "netshare attach NAME 81/udp"

    def test_words_that_make_no_sense(self, site: Site) -> None:
        for client, port in (("nobody", "80"), ("224.0.0.1", "80"), ("10.0.0.1", "0")):
            assert site.netshare("doctor", "--trace", client, port).returncode == 2


def test_what_the_kernel_is_asked_to_try_leaves_nothing_behind(lab: Lab, tmp_path: Path) -> None:
    driver = NftablesDriver()
    before = lab.host.run(driver.generation)
    assert Site(lab, tmp_path).diagnose()[0] == 0
    assert lab.host.run(driver.generation) == before
    assert nft(lab.host, "list", "ruleset") == ""

"""The Debian package: what is in it, what lintian says, and its life on a machine, from install to purge: one story."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from netshare.cli.app import VERBS
from netshare.runtime.revision import of_checkout
from netshare.systemd.manager import MARK
from tests.prerequisites import program, require
from tests.systemd.machine import ROOT, Machine

pytestmark = [pytest.mark.systemd, pytest.mark.slow, pytest.mark.timeout(1800)]

UNIT = "/etc/systemd/system/netshare.service"
OTHER = f"{MARK}[Service]\nExecStart=/bin/false\n"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, as it is built of this tree."""
    require(program("dpkg-buildpackage"), program("dh"))
    place = tmp_path_factory.mktemp("deb")
    built = subprocess.run(
        [str(ROOT / "scripts/build-deb"), "--output", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert built.stdout == f"{next(place.iterdir())}\n"
    return next(place.iterdir())


@pytest.fixture(scope="module")
def installed(machine: Machine, package: Path) -> Iterator[Machine]:
    """A machine with the package; what another installation left on it is gone."""
    machine.path("/var/lib/netshare").mkdir(exist_ok=True)
    machine.must("rm", "-rf", "/var/lib/netshare", UNIT)
    machine.path("/usr/sbin/policy-rc.d").unlink(missing_ok=True)  # containers have one that lets nothing start
    machine.path("/root/netshare.deb").write_bytes(package.read_bytes())
    dpkg(machine, "--install", "/root/netshare.deb")
    yield machine
    dpkg(machine, "--purge", "netshare")


def dpkg(machine: Machine, *words: str) -> str:
    # The triggers are of others: man-db would look through every page of the machine.
    return machine.must("dpkg", "--no-triggers", *words)


def test_all_of_it_is_in_there(package: Path) -> None:
    listed = subprocess.run(["dpkg-deb", "--contents", package], capture_output=True, text=True, check=True).stdout
    files = {line.split()[5].removeprefix(".") for line in listed.splitlines()}
    assert {
        "/usr/bin/netshare",
        "/usr/lib/systemd/system/netshare.service",
        "/usr/libexec/docker/cli-plugins/docker-netshare",
        "/usr/share/bash-completion/completions/netshare",
        "/usr/share/zsh/vendor-completions/_netshare",
        "/usr/share/fish/vendor_completions.d/netshare.fish",
        "/usr/share/netshare/metrics/alerts.yaml",
        "/usr/share/netshare/scripts/backup",
        "/etc/default/netshare",
    } <= files
    assert {f"/usr/share/man/man1/netshare-{verb}.1.gz" for verb in VERBS} <= files
    for python in ("311", "312", "313", "314"):
        assert any(f"/_pydantic_core.cpython-{python}-" in name for name in files)


def test_lintian_has_no_objection(package: Path) -> None:
    require(program("lintian"))
    words = ["lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", str(package)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_agent_runs_from_the_moment_of_its_installation(installed: Machine) -> None:
    assert installed.must("systemctl", "is-active", "netshare") == "active"
    assert installed.must("systemctl", "is-enabled", "netshare") == "enabled"
    assert installed.must("netshare", "agent", "install") == "netshare.service: nothing to do"
    unit = installed.must("systemctl", "show", "--property=FragmentPath", "--value", "netshare")
    assert unit.endswith("/lib/systemd/system/netshare.service")


def test_it_knows_what_it_was_built_of(installed: Machine) -> None:
    found = of_checkout(ROOT)
    told = json.loads(installed.must("docker", "netshare", "version", "-o", "json"))
    assert told["revision"] == (found.commit if found else None)
    assert installed.must("man", "--where", "netshare-attach") == "/usr/share/man/man1/netshare-attach.1.gz"


def test_an_upgrade_leaves_traffic_alone(installed: Machine) -> None:
    installed.must("netshare", "attach", "vm", "8081", "--endpoint", "192.0.2.7", "--no-wait", "--health", "none")
    before = installed.must("netshare", "rules")
    assert "8081" in before
    pid = installed.must("systemctl", "show", "--property=MainPID", "--value", "netshare")
    dpkg(installed, "--install", "/root/netshare.deb")
    assert installed.must("systemctl", "is-active", "netshare") == "active"
    assert installed.must("systemctl", "show", "--property=MainPID", "--value", "netshare") != pid
    assert installed.must("netshare", "rules") == before


def test_what_another_installation_wrote_stays_until_somebody_says_so(installed: Machine) -> None:
    installed.path(UNIT).write_text(OTHER, encoding="utf-8")
    said = dpkg(installed, "--install", "/root/netshare.deb")
    assert f"{UNIT} goes before this package's unit" in said
    assert installed.path(UNIT).read_text(encoding="utf-8") == OTHER
    done = installed.must("netshare", "agent", "install")
    assert f"removed {UNIT}: the package's own unit takes its place" in done
    assert installed.must("systemctl", "is-active", "netshare") == "active"


def test_removed_it_leaves_the_definitions_and_purged_nothing(installed: Machine) -> None:
    dpkg(installed, "--remove", "netshare")
    assert "netshare" not in installed.must("nft", "list", "tables")
    assert not installed.path("/usr/lib/netshare").exists()
    assert installed.path("/var/lib/netshare/services/vm.json").exists()
    dpkg(installed, "--purge", "netshare")
    for name in ("/var/lib/netshare", "/run/netshare", "/etc/default/netshare"):
        assert not installed.path(name).exists()

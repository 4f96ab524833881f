"""The plugin in the words that Docker's command line starts it with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from netshare.cli import docker_plugin
from netshare.cli.docker_plugin import METADATA, Called, read
from tests.outcome import Done
from tests.prerequisites import program, require

ROOT = Path(__file__).resolve().parents[3]
PLUGIN = f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"


@pytest.mark.parametrize(
    ("words", "called"),
    [
        (("netshare",), Called(())),
        (("netshare", "attach", "web", "80", "-H", "x"), Called(("attach", "web", "80", "-H", "x"))),
        (("--host", "unix:///a", "netshare", "list"), Called(("list",), host="unix:///a")),
        (("--host=unix:///a", "-D", "--tls", "netshare", "list"), Called(("list",), host="unix:///a")),
        (("-H=unix:///a=b", "netshare", "list"), Called(("list",), host="unix:///a=b")),
        (("-Hunix:///a=b", "netshare", "list"), Called(("list",), host="unix:///a=b")),
        (("--config", "netshare", "netshare", "list"), Called(("list",))),
        (("-c", "far", "netshare", "list"), Called(("list",), context="far")),
        (("help", "netshare", "attach"), Called(("attach", "--help"))),
        (("__complete", "netshare", "dr"), Called(("dr",), is_completing=True)),
    ],
)
def test_what_docker_says(words: tuple[str, ...], called: Called) -> None:
    assert read(words) == called


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory with the plugin in it."""
    plugins = tmp_path / ".docker/cli-plugins"
    plugins.mkdir(parents=True)
    text = f"{PLUGIN}from netshare.cli.docker_plugin import main\nmain()\n"
    (plugins / "docker-netshare").write_text(text, encoding="utf-8")
    (plugins / "docker-netshare").chmod(0o755)
    return tmp_path


def docker(home: Path, *words: str) -> Done:
    require(program("docker"))
    directories = {"NETSHARE_STATE_DIR": str(home / "state"), "NETSHARE_RUNTIME_DIR": str(home / "run")}
    environment = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
    done = subprocess.run(
        ["docker", *words],
        env=environment | directories | {"HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_docker_takes_it_in(home: Path) -> None:
    assert docker_plugin.metadata()["ShortDescription"] in docker(home, "--help").out
    done = docker(home, "--host", "unix:///nowhere", "netshare", "version", "-o", "json")
    assert (done.code, json.loads(done.out)["schema"], done.err) == (0, 1, "")


def test_help_is_of_what_was_typed(home: Path) -> None:
    for words in (("netshare", "attach", "--help"), ("help", "netshare", "attach")):
        assert "Usage: docker netshare attach [OPTIONS] NAME PORT[/PROTO]" in docker(home, *words).out


def test_exit_codes_come_through(home: Path) -> None:
    done = docker(home, "netshare", "attach", "web", "0")
    assert done.code == 2
    assert done.err.startswith("netshare: ")


def test_a_context_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["docker-netshare", "--context", "far", "netshare", "list", "-o", "json"])
    with pytest.raises(SystemExit, match="2"):
        docker_plugin.main()
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"


def test_docker_s_host_is_netshare_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///before")
    monkeypatch.setattr(sys, "argv", ["docker-netshare", "-H", "unix:///a", "netshare", "version"])
    with pytest.raises(SystemExit, match="0"):
        docker_plugin.main()
    assert os.environ["DOCKER_HOST"] == "unix:///a"


def test_it_completes_as_docker_asks(home: Path) -> None:
    """Docker 23 and later hand the question on; this is their hand-over."""
    plugin = home / ".docker/cli-plugins/docker-netshare"
    done = subprocess.run([plugin, "__complete", "netshare", "dra"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith("drain\t")
    assert done.stdout.splitlines()[-1] == ":4"


def test_what_it_is_is_told_in_no_time(home: Path) -> None:
    plugin = home / ".docker/cli-plugins/docker-netshare"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", plugin, METADATA], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["SchemaVersion"] == "0.1.0"
    assert not {each.rpartition("|")[2].strip() for each in done.stderr.splitlines()} & {"typer", "pydantic", "rich"}

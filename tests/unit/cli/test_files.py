"""apply, diff and export over fakes: a file comes in, a file goes out."""

import io
import json
from pathlib import Path

import pytest
import yaml

from netshare import wiring
from netshare.core.model import Listener, Service
from tests.fakes.host import FakeHost
from tests.unit.cli.conftest import Netshare

FILE = """\
schema: 1
services:
- name: web
  listeners:
  - port: 80
    to: 8080
"""
WEB = Service("web", (Listener(80, to=8080),))


@pytest.fixture(autouse=True)
def store(fake: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "store", lambda: fake.store)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "services.yaml"
    path.write_text(FILE, encoding="utf-8")
    return str(path)


def test_apply_says_what_became_of_each(netshare: Netshare, fake: FakeHost, file: str) -> None:
    dry = netshare("apply", "-f", file, "--dry-run")
    assert (dry.code, dry.out, dry.err) == (0, "web: would be added (80/tcp)\n", "")
    done = netshare("apply", "-f", file)
    assert (done.code, done.out) == (0, "web: added (80/tcp)\n")
    assert "only while `netshare agent` runs" in done.err
    assert fake.store.services == {"web": WEB}
    fake.agent.running_pid = 4242
    again = netshare("apply", "-f", file, "-o", "json")
    assert (again.err, again.document["changed"], again.document["services"][0]["change"]) == ("", False, "unchanged")


def test_diff_tells_by_its_exit_code(netshare: Netshare, fake: FakeHost, file: str) -> None:
    fake.store.save(Service("web", (Listener(80),)))
    fake.store.save(Service("old", (Listener(81),)))
    done = netshare("diff", "-f", file)
    assert done.code == 10
    assert done.out.splitlines()[:2] == ["--- web as it is", "+++ web by the file"]
    assert "+  to: 8080" in done.out
    assert "old" not in done.out
    assert "-name: old" in netshare("diff", "-f", file, "--prune").out
    found = netshare("diff", "-f", file, "-o", "json").document["services"][0]
    assert (found["change"], found["after"]["listeners"]) == ("changed", [{"port": 80, "to": 8080}])
    netshare("apply", "-f", file)
    assert (netshare("diff", "-f", file).code, netshare("diff", "-f", file).out) == (0, "")


def test_what_is_exported_changes_nothing(
    netshare: Netshare, fake: FakeHost, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    netshare("apply", "-f", file)
    for words in ((), ("-o", "json")):
        text = netshare("export", *words).out.encode()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
        assert netshare("apply", "-f", "-", "--prune").out == "web: unchanged (80/tcp)\n"
    fake.store.corrupt("api")
    assert netshare("export").code == 9


def test_the_schema_is_printed(netshare: Netshare) -> None:
    assert json.loads(netshare("export", "--schema").out)["title"] == "netshare services"


def test_a_bad_file_changes_nothing(netshare: Netshare, fake: FakeHost, file: str) -> None:
    Path(file).write_text(FILE.replace("80\n", "0\n", 1), encoding="utf-8")
    for verb in ("apply", "diff"):
        done = netshare(verb, "-f", file)
        assert (done.code, f"{file}:5: services.0.listeners.0.port" in done.err) == (9, True)
    assert netshare("apply", "-f", f"{file}.no", "-o", "json").document["error"]["code"] == "definition_invalid"
    assert netshare("apply").code == 2
    assert fake.store.services == {}


def test_an_empty_file_says_so(netshare: Netshare, file: str) -> None:
    Path(file).write_text(yaml.safe_dump({"schema": 1, "services": []}), encoding="utf-8")
    assert netshare("apply", "-f", file).out == "the file names no service\n"

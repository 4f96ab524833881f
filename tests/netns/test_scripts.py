"""The scripts for administrators, with the real command line, in a lab: what they do is what clients meet."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from netshare.lab.topology import Lab
from netshare.lab.traffic import send
from tests.netns.admin import Admin
from tests.outcome import Done
from tests.prerequisites import program, require

pytestmark = pytest.mark.netns

SCRIPTS = Path(__file__).parents[2] / "scripts"


class Scripts:
    """An administrator with a service ``web`` of three static replicas on port 80."""

    def __init__(self, lab: Lab, admin: Admin, netshare_command: str) -> None:
        self.lab = lab
        self.admin = admin
        self._netshare = netshare_command
        self.replicas = {str(replica.endpoint): name for name, replica in lab.replicas.items()}

    def __call__(self, name: str, *words: str) -> Done:
        return self.admin.run(str(SCRIPTS / name), *words, NETSHARE=self._netshare)

    def must(self, name: str, *words: str) -> str:
        done = self(name, *words)
        assert done.code == 0, done
        return done.out

    def answering(self) -> set[str]:
        """Who answers; nobody where connections are refused."""
        return set(send(self.lab.client.namespace, self.lab.at(80), 40).answers)


@pytest.fixture
def scripts(lab: Lab, tmp_path: Path, netshare_command: str) -> Iterator[Scripts]:
    require(program("bash"), program("jq"))
    admin = Admin(lab, tmp_path)
    found = Scripts(lab, admin, netshare_command)
    words = [word for endpoint in found.replicas for word in ("--endpoint", endpoint)]
    assert admin.netshare("attach", "web", "80", *words, "--strategy", "round-robin").code == 0
    yield found
    admin.close()


def test_blue_green_and_back(scripts: Scripts) -> None:
    first, second, _ = scripts.replicas
    scripts.must("blue-green", "web", first)
    assert scripts.answering() == {scripts.replicas[first]}
    scripts.must("blue-green", "web", second)
    assert scripts.answering() == {scripts.replicas[second]}
    scripts.must("blue-green", "web", "--back")
    assert scripts.answering() == {scripts.replicas[first]}
    unknown = scripts("blue-green", "web", "purple")
    assert (unknown.code, "purple" in unknown.err) == (3, True)


def test_maintenance_refuses_and_ends(scripts: Scripts) -> None:
    before = scripts.admin.netshare("export").out
    scripts.must("maintenance", "on", "web")
    sent = send(scripts.lab.client.namespace, scripts.lab.at(80), 3)
    assert {failure.kind.value for failure in sent.failures} == {"refused"}
    assert scripts("maintenance", "on", "web").code == 1
    scripts.must("maintenance", "off", "web")
    assert scripts.admin.netshare("export").out == before
    assert scripts.answering() == set(scripts.lab.replicas)
    assert scripts("maintenance", "off", "web").code == 3
    assert scripts("maintenance", "on", "api").code == 3


def test_maintenance_has_a_page(scripts: Scripts, tmp_path: Path) -> None:
    require(program("python3"))
    page = tmp_path / "page.html"
    page.write_text("<h1>Back at 10</h1>", encoding="utf-8")
    address = str(scripts.lab.at(80).address)
    scripts.must("maintenance", "on", "web", "--page", str(page), "--address", address)

    def ask(method: str) -> tuple[int, str | None, bytes]:
        connection = http.client.HTTPConnection(address, 80, timeout=10)
        connection.request(method, "/some/where", body=b"x" * 10 if method == "POST" else None)
        answer = connection.getresponse()
        found = answer.status, answer.getheader("Retry-After"), answer.read()
        connection.close()
        return found

    for method in ("GET", "POST"):
        assert scripts.lab.client.namespace.run(ask, method) == (503, "120", b"<h1>Back at 10</h1>")
    assert scripts.lab.client.namespace.run(ask, "HEAD") == (503, "120", b"")
    scripts.must("maintenance", "off", "web")
    assert scripts.answering() == set(scripts.lab.replicas)
    assert not list((tmp_path / "run").glob("maintenance-*"))


def test_maintenance_changes_nothing_where_the_page_cannot_be_served(scripts: Scripts, tmp_path: Path) -> None:
    done = scripts("maintenance", "on", "web", "--page", str(tmp_path / "none"))
    assert (done.code, "can't be read" in done.err) == (1, True)
    page = tmp_path / "page.html"
    page.touch()
    done = scripts("maintenance", "on", "web", "--page", str(page), "--address", "203.0.113.1")
    assert (done.code, "nothing could be served" in done.err) == (1, True)
    assert scripts.answering() == set(scripts.lab.replicas)


def test_backup_and_restore(scripts: Scripts, tmp_path: Path) -> None:
    directory = tmp_path / "backups"
    scripts.must("backup", "save", str(directory))
    [saved] = directory.iterdir()
    assert saved.stat().st_mode & 0o777 == 0o600
    scripts.must("backup", "save", str(directory))
    assert list(directory.iterdir()) == [saved]  # nothing has changed

    assert scripts.admin.netshare("detach", "web").code == 0
    assert "+name: web" in scripts.must("backup", "restore", str(saved))
    assert scripts.answering() == set(scripts.lab.replicas)
    assert "nothing differs" in scripts("backup", "restore", str(saved)).err

    for year in (2001, 2002, 2003):
        (directory / f"services-{year}0101-000000.yaml").write_text("schema: 1\nservices: []\n", encoding="ascii")
    assert scripts.admin.netshare("weight", "web", next(iter(scripts.replicas)), "3").code == 0
    scripts.must("backup", "save", "--keep", "2", str(directory))
    assert len(list(directory.iterdir())) == 2
    assert scripts("backup", "restore", str(tmp_path / "none")).code == 9


def test_what_cannot_be_read_is_not_saved(scripts: Scripts, tmp_path: Path) -> None:
    (tmp_path / "state/services/bad.json").write_text("{", encoding="ascii")
    assert scripts("backup", "save", str(tmp_path / "backups")).code == 9
    assert list((tmp_path / "backups").iterdir()) == []

import json
from pathlib import Path

import pytest

from netshare.runtime import names as module
from netshare.runtime.names import Names


def test_what_is_put_up_can_be_read(tmp_path: Path) -> None:
    names = Names(tmp_path / "run/names.json")
    assert names.read() == {}
    names.post({"web": ["web-1", "web-2"], "db": []}, kept=())
    assert Names(tmp_path / "run/names.json").read() == {"web": ["web-1", "web-2"], "db": []}


def test_what_stays_the_same_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    Names(path).post({"web": ["web-1"]}, kept=())
    before = path.stat()
    Names(path).post({"web": ["web-1"]}, kept=())
    assert path.stat().st_ino == before.st_ino
    Names(path).post({"web": ["web-2"]}, kept=())
    assert path.stat().st_ino != before.st_ino


def test_services_that_are_kept_keep_their_replicas(tmp_path: Path) -> None:
    names = Names(tmp_path / "names.json")
    names.post({"web": ["web-1"], "shop": ["shop-1"], "old": ["old-1"]}, kept=())
    names.post({"db": ["db-1"]}, kept={"web", "shop (labels)"})
    assert names.read() == {"web": ["web-1"], "shop": ["shop-1"], "db": ["db-1"]}


def test_of_very_many_the_first_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    names = Names(tmp_path / "names.json")
    names.post({"web": ["web-1", "web-2"], "db": ["db-1", "db-2"], "x": ["x-1"], "y": []}, kept=())
    assert names.read() == {"web": ["web-1", "web-2"], "db": ["db-1"], "x": []}


@pytest.mark.parametrize(
    "content", ["", "[", "[]", "{}", '{"schema": 2, "services": {}}', '{"schema": 1}', "[" * 100_000]
)
def test_what_is_not_sound_is_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "names.json").write_text(content, encoding="ascii")
    assert Names(tmp_path / "names.json").read() == {}


def test_of_what_is_half_sound_the_sound_half(tmp_path: Path) -> None:
    services = {"web": ["web-1", 1, None], "db": "db-1"}
    (tmp_path / "names.json").write_text(json.dumps({"schema": 1, "services": services}), encoding="ascii")
    assert Names(tmp_path / "names.json").read() == {"web": ["web-1"]}


def test_where_nothing_can_be_written_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    Names(tmp_path / "run/names.json").post({"web": ["web-1"]}, kept=())

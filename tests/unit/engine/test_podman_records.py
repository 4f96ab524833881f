import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from netshare.engine.podman_records import Records

PATIENCE = 20.0


class Watching:
    """Records whose changes are read in a thread."""

    def __init__(self, storage: Path, patience: float = 0.0) -> None:
        self.records = Records()
        self.records.watch(storage)
        self.told: SimpleQueue[int] = SimpleQueue()
        self._thread = threading.Thread(target=self._read, args=(patience,), daemon=True)
        self._thread.start()

    def next(self) -> int:
        return self.told.get(timeout=PATIENCE)

    def is_silent(self) -> bool:
        try:
            self.told.get(timeout=0.1)
        except Empty:
            return True
        return False

    def close(self) -> None:
        self.records.end()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self.records.close()

    def _read(self, patience: float) -> None:
        for change in self.records.changes(lambda: patience):
            self.told.put(change)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    (tmp_path / "libpod").mkdir()
    for name in ("libpod/bolt_state.db", "db.sql", "libpod/db.sql", "storage.lock"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.fixture
def watching(storage: Path) -> Iterator[Watching]:
    watching = Watching(storage)
    yield watching
    watching.close()


@pytest.mark.parametrize("name", ["libpod/bolt_state.db", "db.sql", "libpod/db.sql"])
def test_a_write_is_told_of(storage: Path, watching: Watching, name: str) -> None:
    before = time.time_ns()
    with (storage / name).open("ab") as file:
        file.write(b"stopping")
    assert before <= watching.next() <= time.time_ns()


def test_what_only_looks_and_what_concerns_other_files_is_not(storage: Path, watching: Watching) -> None:
    (storage / "libpod/bolt_state.db").read_bytes()
    with (storage / "libpod/bolt_state.db").open("r+b"):
        pass  # opened to be written to, as Podman opens it whenever it looks
    (storage / "storage.lock").write_bytes(b"x")
    (storage / "libpod/db.sql-journal").write_bytes(b"x")
    assert watching.is_silent()


def test_a_nudge_is_told_of_like_a_write(watching: Watching) -> None:
    for _ in range(2):
        watching.records.nudge()
        watching.next()
    assert watching.is_silent()


def test_a_nudge_needs_no_records() -> None:
    records = Records()
    changes = records.changes(lambda: 0.0)
    records.nudge()
    assert next(changes) > 0
    records.end()
    assert list(changes) == []
    records.close()


def test_many_writes_in_a_row_are_told_once_more(storage: Path) -> None:
    watching = Watching(storage, patience=0.3)
    with (storage / "db.sql").open("ab", buffering=0) as file:
        file.write(b"1")
        watching.next()
        for _ in range(50):
            file.write(b"2")
        watching.next()
        assert watching.is_silent()
    watching.close()


def test_it_ends_while_it_waits_whatever_for(storage: Path) -> None:
    waiting = Watching(storage)
    waiting.close()
    patient = Watching(storage, patience=PATIENCE)
    (storage / "db.sql").write_bytes(b"1")
    patient.next()
    patient.close()


def test_where_there_are_no_records_nothing_is_told(tmp_path: Path) -> None:
    watching = Watching(tmp_path / "nowhere")
    assert watching.is_silent()
    watching.close()

"""An upstream that holds requests, a PostgreSQL of the tests' own, and servers on both; all on the loopback."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.lab.postgres import Postgres
from tests.app import stage
from tests.app.gate import Gate
from tests.app.stage import Stage
from tests.prerequisites import require


@pytest.fixture
def gate() -> Iterator[Gate]:
    with Gate() as gate:
        yield gate


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL, running."""
    require(stage.postgres())
    # Not below pytest's own directory, where only the user who runs it may look.
    with tempfile.TemporaryDirectory(prefix="app-postgres-") as directory:
        postgres = Postgres(Path(directory))
        postgres.up()
        yield postgres
        postgres.down()


@pytest.fixture
def on_stage(tmp_path: Path, gate: Gate) -> Stage:
    """Where servers run that need no database."""
    return Stage(tmp_path, gate)


@pytest.fixture
def with_database(tmp_path: Path, gate: Gate, postgres: Postgres) -> Stage:
    """Where servers run that have one."""
    return Stage(tmp_path, gate, postgres.url)

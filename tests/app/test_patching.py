"""The patch is in time, or nothing starts."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.app

ROOT = Path(__file__).parents[2]


def python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("early", ["requests", "psycopg2", "ssl", "flask", "app.wsgi", "app.web.pool"])
def test_something_imported_too_early_fails_loudly(early: str) -> None:
    done = python(f"import {early}; import app.patched")
    assert done.returncode == 1
    assert "PatchedTooLateError: imported before gevent's patch: " in done.stderr
    assert early.removesuffix(".pool") in done.stderr.splitlines()[-1]


def test_a_thread_started_too_early_fails_loudly() -> None:
    done = python(
        "import threading; e = threading.Event(); t = threading.Thread(target=e.wait, daemon=True); t.start()\n"
        "import app.patched"
    )
    assert done.returncode == 1
    assert "threads were started before gevent's patch" in done.stderr


def test_half_a_patch_fails_loudly() -> None:
    done = python("from gevent import monkey; monkey.patch_socket(); import app.patched")
    assert done.returncode == 1
    assert "a part of the library only; not _thread" in done.stderr


def test_the_same_application_becomes_cooperative_unchanged() -> None:
    done = python(
        "import app.patched, app.wsgi, psycopg2.extensions, threading, time, gevent.monkey as m\n"
        "assert app.patched.application is app.wsgi.application\n"
        "assert psycopg2.extensions.get_wait_callback().__module__ == 'psycogreen.gevent'\n"
        "assert all(map(m.is_module_patched, ('socket', 'ssl', 'threading', 'time', 'select')))"
    )
    assert done.returncode == 0, done.stderr


def test_without_the_patch_nothing_of_gevent_is_loaded() -> None:
    done = python("import app.wsgi, sys; assert not {'gevent', 'greenlet', 'psycogreen'} & sys.modules.keys()")
    assert done.returncode == 0, done.stderr


def test_all_of_the_library_that_could_be_patched_was_when_gunicorn_did_it() -> None:
    done = python("from gevent import monkey; monkey.patch_all(); import app.patched")
    assert done.returncode == 0, done.stderr
